"""Answers a request for logs: which container, which of its files, and why there is none.

The texts of the refusals are upstream's, because people and tools know them.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from podling.aiokit.clock import WallClock
from podling.kube import meta, timestamps
from podling.kube.meta import Object
from podling.node.kubelet.cri.runtime_cache import RuntimeCache
from podling.node.kubelet.logs import log_reader
from podling.node.kubelet.logs.log_lines import LogOptions
from podling.node.kubelet.planning import pod_spec
from podling.node.kubelet.planning.runtime_status import Container, ContainerState


class LogRequestError(Exception):
    """There is no such log; `status` is the HTTP status to answer with."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class LogFile:
    """One container's log."""

    container: Container
    uid: str
    """Of its pod."""


class ContainerLogs:
    """Reads the logs of the pods on this node."""

    def __init__(
        self,
        pod: Callable[[str, str], Object | None],
        cache: RuntimeCache,
        clock: WallClock,
    ) -> None:
        """`pod`: the pod of this namespace and name, if it is on this node."""
        self._pod = pod
        self._cache = cache
        self._clock = clock
        self._followers: dict[str, set[asyncio.Event]] = {}

    def runtime_changed(self, uid: str) -> None:
        """The runtime has news of this pod: a followed log may have ended."""
        for wake in self._followers.get(uid, ()):
            wake.set()

    def options(self, query: Mapping[str, str]) -> LogOptions:
        """The query of a log request; LogRequestError if a value makes no sense."""
        since = None
        try:
            if "sinceSeconds" in query:
                since = self._clock() - int(query["sinceSeconds"])
            elif "sinceTime" in query:
                since = timestamps.parse_time(query["sinceTime"])
            return LogOptions(
                follow=_boolean(query, "follow"),
                timestamps=_boolean(query, "timestamps"),
                previous=_boolean(query, "previous"),
                tail_lines=_count(query, "tailLines"),
                limit_bytes=_count(query, "limitBytes"),
                since=since,
            )
        except ValueError as error:
            raise LogRequestError(400, f"bad log options: {error}") from None

    def find(self, namespace: str, name: str, container: str, *, previous: bool) -> LogFile:
        """The log of a container; LogRequestError if there is none."""
        pod = self._pod(namespace, name)
        if pod is None:
            raise LogRequestError(404, f'pod "{name}" does not exist on this node')
        if pod_spec.container(pod, container) is None:
            raise LogRequestError(404, f'container "{container}" not found in pod "{name}"')
        runtime = self._cache.pod(meta.uid(pod))
        newest = runtime.newest(container) if runtime is not None else None
        what = f'container "{container}" in pod "{name}"'
        if previous:
            old = runtime.previous(container) if runtime is not None else None
            if newest is not None and newest.ended and _waits(pod, container):
                # What runs next is not there yet: the one that ended is the previous one.
                old = newest
            if old is None:
                text = f'previous terminated container "{container}" in pod "{name}" not found'
                raise LogRequestError(400, text)
            return LogFile(old, meta.uid(pod))
        if newest is None or newest.state is ContainerState.CREATED:
            reason = _waits(pod, container) or "ContainerCreating"
            raise LogRequestError(400, f"{what} is waiting to start: {reason}")
        return LogFile(newest, meta.uid(pod))

    async def read(self, log: LogFile, options: LogOptions) -> AsyncGenerator[bytes, None]:
        """The text of a log; follows it until its container has ended, if that was asked for."""
        wake = asyncio.Event()
        followers = self._followers.setdefault(log.uid, set())
        followers.add(wake)

        def ended() -> bool:
            runtime = self._cache.pod(log.uid)
            current = runtime.by_id(log.container.id) if runtime is not None else None
            return current is None or not current.running

        try:
            path = Path(log.container.log_path)
            async for text in log_reader.read(path, options, ended, wake):
                yield text
        finally:
            followers.discard(wake)
            if not followers:
                self._followers.pop(log.uid, None)


def _waits(pod: Object, container: str) -> str:
    """Why the container waits, according to the last reported status; empty if it does not."""
    status = pod.get("status", {})
    for field_name in ("containerStatuses", "initContainerStatuses"):
        for entry in status.get(field_name) or []:
            if entry["name"] == container:
                return str(entry.get("state", {}).get("waiting", {}).get("reason", ""))
    return ""


def _boolean(query: Mapping[str, str], name: str) -> bool:
    return query.get(name, "") in ("1", "t", "T", "true", "True", "TRUE")


def _count(query: Mapping[str, str], name: str) -> int | None:
    if name not in query:
        return None
    value = int(query[name])
    if value < 0:
        raise ValueError(f"{name} must not be negative")
    return value
