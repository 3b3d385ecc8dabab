"""Whether and when a container that ended is started again. Pure.

The crash loop, with upstream's times (10 s, doubling to 5 minutes):

    started, ended  -> restarted at once (nothing is known against it)
    ended again     -> restarted 10 s after its end, then 20 s, 40 s, ... 300 s
    ran for long    -> an end more than twice the cap after the last restart counts as the first

Source: Kubernetes documentation, "Pod Lifecycle", sections "Restart policy" and "Container
restarts".
"""

from dataclasses import dataclass, field

ALWAYS = "Always"
ON_FAILURE = "OnFailure"
NEVER = "Never"


def should_restart(policy: str, exit_code: int) -> bool:
    """Whether a container of a pod with restart policy `policy` that ended runs again."""
    if policy == NEVER:
        return False
    return policy == ALWAYS or exit_code != 0


@dataclass(frozen=True, slots=True)
class DelayRange:
    """Delays that double from `initial` to `cap`, in seconds."""

    initial: float = 10.0
    cap: float = 300.0


@dataclass(slots=True)
class _Entry:
    delay: float
    since: float
    """When the container was last restarted."""


@dataclass(slots=True)
class RestartHistory:
    """What one pod's containers did so far, by container name; forgotten with the pod."""

    delays: DelayRange
    _entries: dict[str, _Entry] = field(default_factory=dict)

    def delay(self, name: str, ended_at: float) -> float:
        """Seconds that container `name` has to wait after its end at `ended_at`."""
        entry = self._entries.get(name)
        if entry is None or self._forgiven(entry, ended_at):
            return 0.0
        return entry.delay

    def restarted(self, name: str, now: float) -> None:
        """Container `name` is being started again: its next delay is twice as long."""
        entry = self._entries.get(name)
        if entry is None or self._forgiven(entry, now):
            self._entries[name] = _Entry(self.delays.initial, now)
            return
        entry.delay = min(entry.delay * 2, self.delays.cap)
        entry.since = now

    def _forgiven(self, entry: _Entry, now: float) -> bool:
        return now - entry.since > 2 * self.delays.cap
