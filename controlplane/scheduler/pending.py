"""The pods that wait for a node: whose turn it is, who waits for time, who for the cluster; pure.

    add ------------> active --pop--> being decided --+--> bound, or deleted: `remove`
                      ^   ^                           |
         its time has |   | its time is over already  +--> unfit: `unfit`
             come     |   |                           |       |
                     back-off <------- wake ------ unschedulable
                      ^                               |
                      +---------- failed: `failed` <--+

A pod that fits nowhere is not tried again until something changed that could help it (`wake`), and
even then not before its back-off, which grows with its attempts. What changes while a pod is being
decided or bound counts too: nothing is waited for that has happened already. Higher priority goes
first, and among equals who waits longest. After `flush_after` a pod is tried for no reason at all,
in case a reason was overlooked.
"""

import heapq
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

FOREVER: Final = float("inf")


class Place(Enum):
    ACTIVE = auto()
    DECIDING = auto()
    BACKOFF = auto()
    UNSCHEDULABLE = auto()


@dataclass(frozen=True, slots=True)
class PendingConfig:
    """All times in seconds."""

    backoff_first: float = 0.1
    """Upstream waits a second; here a decision costs less than a millisecond."""
    backoff_cap: float = 10.0
    flush_after: float = 300.0


@dataclass(slots=True)
class _Waiting:
    priority: int
    number: int
    """Rises with the time of coming; earlier ones go first."""
    place: Place
    attempts: int = 0
    not_before: float = 0.0
    """The end of its back-off."""
    since: float = 0.0
    """When it became unschedulable."""
    wakes: int = 0
    """How often the cluster had changed when it was taken; -1 once the pod itself has."""


class PendingPods:
    """Keys of pods. `now` is in seconds of any steady clock."""

    def __init__(self, config: PendingConfig) -> None:
        self._config = config
        self._pods: dict[str, _Waiting] = {}
        #: The heaps may hold outdated entries: an entry counts if the pod is still in that place.
        self._active: list[tuple[int, int, str]] = []
        self._backoff: list[tuple[float, int, str]] = []
        self._unschedulable: dict[str, _Waiting] = {}
        self._numbers = 0
        self._wakes = 0

    def __len__(self) -> int:
        return len(self._pods)

    def __contains__(self, key: str) -> bool:
        return key in self._pods

    def place(self, key: str) -> Place | None:
        """Where the pod waits, for those who look into a cluster."""
        pod = self._pods.get(key)
        return None if pod is None else pod.place

    def add(self, key: str, priority: int, now: float) -> None:
        """The pod is new, or has changed in a way that may help it."""
        pod = self._pods.get(key)
        if pod is None:
            self._numbers += 1
            pod = self._pods[key] = _Waiting(priority, self._numbers, Place.ACTIVE)
            self._activate(key, pod)
            return
        if pod.priority != priority:
            pod.priority = priority
            if pod.place is Place.ACTIVE:
                self._activate(key, pod)
        self._wake(key, pod, now)

    def remove(self, key: str) -> None:
        """The pod waits no longer."""
        self._pods.pop(key, None)
        self._unschedulable.pop(key, None)

    def pop(self) -> str | None:
        """Whose turn it is; then one of `remove`, `unfit` and `failed` is to follow."""
        while self._active:
            priority, number, key = heapq.heappop(self._active)
            pod = self._pods.get(key)
            if pod is None or pod.place is not Place.ACTIVE:
                continue
            if (-pod.priority, pod.number) != (priority, number):
                continue
            pod.place = Place.DECIDING
            pod.attempts += 1
            pod.wakes = self._wakes
            return key
        return None

    def unfit(self, key: str, now: float) -> None:
        """No node will do for the pod, as things are."""
        pod = self._decided(key, now)
        if pod is None:
            return
        pod.place = Place.UNSCHEDULABLE
        pod.since = now
        self._unschedulable[key] = pod
        if pod.wakes != self._wakes:
            self._wake(key, pod, now)

    def failed(self, key: str, now: float) -> None:
        """There was a node, but binding failed: try again after the pod's back-off."""
        pod = self._decided(key, now)
        if pod is not None:
            self._back_off(key, pod)

    def wake(self, now: float) -> None:
        """The cluster changed in a way that may help pods that fit nowhere: there is more room."""
        self._wakes += 1
        for key, pod in tuple(self._unschedulable.items()):
            self._wake(key, pod, now)

    def advance(self, now: float) -> None:
        """Make active whose back-off is over, and who waited too long for a reason."""
        while self._backoff and self._backoff[0][0] <= now:
            _, number, key = heapq.heappop(self._backoff)
            pod = self._pods.get(key)
            if pod is not None and pod.place is Place.BACKOFF and pod.number == number:
                self._activate(key, pod)
        for key, pod in tuple(self._unschedulable.items()):
            if pod.since + self._config.flush_after > now:
                break  # In the order in which they became unschedulable.
            self._wake(key, pod, now)

    def next_due(self) -> float:
        """When `advance` will have something to do; FOREVER if never."""
        due = self._backoff[0][0] if self._backoff else FOREVER
        for pod in self._unschedulable.values():
            return min(due, pod.since + self._config.flush_after)
        return due

    def _decided(self, key: str, now: float) -> _Waiting | None:
        pod = self._pods.get(key)
        if pod is None or pod.place is not Place.DECIDING:
            return None
        growth = 2.0 ** min(pod.attempts - 1, 30)
        pod.not_before = now + min(self._config.backoff_cap, self._config.backoff_first * growth)
        return pod

    def _wake(self, key: str, pod: _Waiting, now: float) -> None:
        if pod.place is Place.DECIDING:
            pod.wakes = -1
        if pod.place is not Place.UNSCHEDULABLE:
            return
        del self._unschedulable[key]
        if pod.not_before > now:
            self._back_off(key, pod)
        else:
            self._activate(key, pod)

    def _back_off(self, key: str, pod: _Waiting) -> None:
        pod.place = Place.BACKOFF
        heapq.heappush(self._backoff, (pod.not_before, pod.number, key))

    def _activate(self, key: str, pod: _Waiting) -> None:
        pod.place = Place.ACTIVE
        heapq.heappush(self._active, (-pod.priority, pod.number, key))
