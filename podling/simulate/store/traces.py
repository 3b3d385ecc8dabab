"""What happened in a run, a line each, in order. The same schedule gives the same lines."""

from collections import Counter
from collections.abc import Callable


class Violation(AssertionError):
    """Something that must always hold does not."""

    def __init__(self, invariant: str, text: str) -> None:
        super().__init__(f"{invariant}: {text}")
        self.invariant = invariant


class Trace:
    """The lines of one run, how often things happened, and the first that must not."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.lines: list[str] = []
        self.counts: Counter[str] = Counter()
        self.violation: Violation | None = None

    def note(self, kind: str, text: str = "") -> None:
        self.counts[kind] += 1
        self.lines.append(f"{self._now():.6f} {kind} {text}".rstrip())

    def fail(self, invariant: str, text: str) -> None:
        """Remember that `invariant` was violated; the run ends before anything else happens."""
        self.note("violation", f"{invariant}: {text}")
        if self.violation is None:
            self.violation = Violation(invariant, text)
