"""Which Event objects are written for what happened; pure.

The same thing happening again to the same object is one Event whose `count` and `lastTimestamp`
grow (the rule of client-go's EventAggregator, without its rate limits):

    back-off restarting a     ->  Create  count 1
    back-off restarting a     ->  Bump    count 2
    back-off restarting b     ->  Create  count 1
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

from podling.kube import meta, timestamps
from podling.kube.meta import Object

MAX_MESSAGE: Final = 1024
"""Characters; longer messages are cut, as by upstream."""


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that people should know about an object."""

    involved: tuple[tuple[str, str], ...]
    """The fields of the reference to the object (core/v1 ObjectReference)."""
    type: str
    """Normal or Warning."""
    reason: str
    message: str


@dataclass(slots=True)
class Series:
    """One Event object, as far as it was told to the API server or is to be told."""

    happening: Happening
    name: str
    namespace: str
    first: float
    """Wall clock seconds."""
    last: float
    count: int = 0
    written: int = 0
    """The count that the API server has; 0 before it has the Event at all."""


def happening(obj: Object, type_: str, reason: str, message: str, field_path: str) -> Happening:
    """`field_path` names a part of the object, such as `spec.containers{web}`."""
    involved = {
        "kind": obj.get("kind", ""),
        "namespace": meta.namespace(obj),
        "name": meta.name(obj),
        "uid": meta.uid(obj),
        "apiVersion": obj.get("apiVersion", ""),
        "resourceVersion": meta.resource_version(obj),
        "fieldPath": field_path,
    }
    if len(message) > MAX_MESSAGE:
        message = message[: MAX_MESSAGE - 3] + "..."
    return Happening(
        tuple((field, value) for field, value in involved.items() if value), type_, reason, message
    )


class SeriesMemory:
    """The series of late, the longest unused forgotten first."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._series: OrderedDict[object, Series] = OrderedDict()
        self._last_stamp = 0

    def count(self, happening: Happening, now: float) -> Series:
        """The series that `happening` belongs to, with it counted. `now`: wall clock seconds."""
        key = self._key(happening)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = self._begin(happening, now)
            if len(self._series) > self._capacity:
                self._series.popitem(last=False)
        self._series.move_to_end(key)
        series.count += 1
        series.last = now
        return series

    def _begin(self, happening: Happening, now: float) -> Series:
        involved = dict(happening.involved)
        # Names are unique within this memory even if the clock stands still.
        self._last_stamp = max(self._last_stamp + 1, int(now * 1e9))
        return Series(
            happening,
            name=f"{involved['name']}.{self._last_stamp:x}",
            namespace=involved.get("namespace", "default"),
            first=now,
            last=now,
        )

    @staticmethod
    def _key(happening: Happening) -> object:
        """The object's revision is no part of it: it is the same object."""
        fields = (item for item in happening.involved if item[0] != "resourceVersion")
        return (tuple(fields), happening.type, happening.reason, happening.message)


def event_object(series: Series, component: str, host: str) -> Object:
    """The Event to create."""
    source = {"component": component} | ({"host": host} if host else {})
    happening = series.happening
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": series.name, "namespace": series.namespace},
        "involvedObject": dict(happening.involved),
        "reason": happening.reason,
        "message": happening.message,
        "type": happening.type,
        "source": source,
        "reportingComponent": component,
        "reportingInstance": host,
        "firstTimestamp": timestamps.format_time(series.first),
        "lastTimestamp": timestamps.format_time(series.last),
        "count": series.count,
    }


def bump_patch(series: Series) -> dict[str, Any]:
    """The merge patch that tells an Event it has happened again."""
    return {"count": series.count, "lastTimestamp": timestamps.format_time(series.last)}
