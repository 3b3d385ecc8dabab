"""When to probe, and what a row of results means. Pure.

    results     . . x x x .        failureThreshold 3, successThreshold 1
    verdict     s s s s F S        changes only after a whole row of the same result

A readiness probe starts from failure, a liveness probe from success, and neither is asked before
the startup probe, if there is one, has succeeded; a startup probe is not asked any more after that.
Times are the event loop's seconds. Source: Kubernetes documentation, "Liveness, Readiness, and
Startup Probes", and the API reference of Probe.
"""

import enum
from dataclasses import dataclass
from typing import Self

from podling.kube.meta import Object


class ProbeKind(enum.Enum):
    """Which question is asked; the value begins its field name (`livenessProbe`) and its events."""

    STARTUP = "startup"
    LIVENESS = "liveness"
    READINESS = "readiness"


@dataclass(frozen=True, slots=True)
class ProbeTimes:
    """The numbers of a Probe, defaulted; seconds and counts."""

    initial_delay: float
    period: float
    timeout: float
    success_threshold: int
    failure_threshold: int

    @classmethod
    def of(cls, probe: Object) -> Self:
        return cls(
            initial_delay=probe.get("initialDelaySeconds") or 0,
            period=probe.get("periodSeconds") or 10,
            timeout=probe.get("timeoutSeconds") or 1,
            success_threshold=probe.get("successThreshold") or 1,
            failure_threshold=probe.get("failureThreshold") or 3,
        )


class ProbeState:
    """One probe of one running container."""

    def __init__(self, kind: ProbeKind, times: ProbeTimes, started_at: float) -> None:
        self.kind = kind
        self.times = times
        self.succeeding = kind is ProbeKind.LIVENESS
        """The verdict: ready, alive, or started."""
        self.condemned = False
        """The container must be killed; no further result changes that."""
        self.next_at = started_at + times.initial_delay
        self._row = 0
        self._last: bool | None = None

    @property
    def over(self) -> bool:
        """Nothing more is to be asked."""
        return self.condemned or (self.kind is ProbeKind.STARTUP and self.succeeding)

    def postpone(self, now: float) -> None:
        """The startup probe has succeeded just now: the first question may be asked."""
        self.next_at = max(self.next_at, now)

    def result(self, success: bool, now: float) -> bool:
        """Take one result; return whether the verdict (or `condemned`) changed."""
        # Without catching up: a probe that was late is not asked twice in a row.
        self.next_at = max(self.next_at + self.times.period, now)
        if success is self._last:
            self._row += 1
        else:
            self._row, self._last = 1, success
        needed = self.times.success_threshold if success else self.times.failure_threshold
        if self._row < needed:
            return False
        if not success and self.kind is not ProbeKind.READINESS:
            changed = not self.condemned
            self.condemned = True
            return changed
        changed = self.succeeding is not success
        self.succeeding = success
        return changed
