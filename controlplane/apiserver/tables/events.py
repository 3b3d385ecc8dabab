"""Events: what was last seen stands first."""

from typing import Any

from podling.controlplane.apiserver.tables import ages
from podling.controlplane.apiserver.tables.columns import Column, Printer, text, wide
from podling.kube import meta
from podling.kube.meta import Object


def _event(obj: Object, now: float) -> list[Any]:
    first_seen = ages.since(obj.get("firstTimestamp") or obj.get("eventTime"), now)
    last = obj.get("lastTimestamp")
    last_seen = ages.since(last, now) if last else first_seen
    count = obj.get("count") or 1
    if series := obj.get("series"):
        last_seen = ages.since(series.get("lastObservedTime"), now)
        count = series.get("count", 0)
    involved = obj.get("involvedObject") or {}
    return [
        last_seen,
        obj.get("type", ""),
        obj.get("reason", ""),
        _target(involved),
        involved.get("fieldPath", ""),
        _source(obj),
        obj.get("message", "").strip(),
        first_seen,
        count,
        meta.name(obj),
    ]


def _target(involved: Object) -> str:
    kind = str(involved.get("kind", "")).lower()
    name = involved.get("name")
    return f"{kind}/{name}" if name else kind


def _source(event: Object) -> str:
    source = event.get("source") or {}
    component = source.get("component") or event.get("reportingComponent", "")
    host = source.get("host") or event.get("reportingInstance", "")
    return f"{component}, {host}" if host else str(component)


EVENTS = Printer(
    columns=(
        text("Last Seen", "Time since this was seen last."),
        text("Type", "Normal or Warning."),
        text("Reason", "Why, in one word for machines."),
        text("Object", "What it is about."),
        wide("Subobject", "Which part of the object it is about."),
        wide("Source", "Who reported it."),
        text("Message", "What happened, for people."),
        wide("First Seen", "Time since this was seen first."),
        wide("Count", "How often it was seen.", "integer"),
        Column("Name", "string", "Name of the event.", format="name", priority=1),
    ),
    cells=_event,
)
