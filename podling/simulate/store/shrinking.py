"""Makes a schedule that fails short: delta debugging (Zeller and Hildebrandt, 2002).

Events are left out in ever smaller pieces, as long as what is left still violates the same
invariant. Whatever is left is replayed with the same dice, so that each attempt is as certain as
the first.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from podling.simulate.store.director import Outcome
from podling.simulate.store.schedule import Event, Schedule

#: Carries a schedule out.
Run = Callable[[Schedule], Outcome]


def shrink(failed: Outcome, run: Run, *, attempts: int = 400) -> Outcome:
    """The outcome of the shortest schedule found in so many runs that fails as `failed` did."""
    if failed.violation is None:
        raise ValueError("there is nothing to shrink: the run did not fail")
    search = _Search(failed, failed.violation.invariant, run, attempts)
    search.cut_end()
    size = max(len(search.best.schedule.events) // 2, 1)
    while size:
        if not search.without_pieces(size):
            size //= 2
    return search.best


class _Search:
    """The best so far, and how much more may be tried."""

    def __init__(self, failed: Outcome, invariant: str, run: Run, attempts: int) -> None:
        self.best = failed
        self._invariant = invariant
        self._run = run
        self._left = attempts

    def cut_end(self) -> None:
        """What was to come after the violation has no part in it."""
        schedule, seconds = self.best.schedule, self.best.seconds
        before = [event for event in schedule.events if event.at <= seconds]
        if len(before) < len(schedule.events):
            self._try(before)

    def without_pieces(self, size: int) -> bool:
        """Leave out pieces of so many events, one after another; whether any could go."""
        shorter = False
        start = 0
        while start < len(self.best.schedule.events):
            events = self.best.schedule.events
            if self._try([*events[:start], *events[start + size :]]):
                shorter = True
            else:
                start += size
        return shorter and size > 1

    def _try(self, events: Sequence[Event]) -> bool:
        if self._left <= 0:
            return False
        self._left -= 1
        outcome = self._run(replace(self.best.schedule, events=tuple(events)))
        if outcome.violation is None or outcome.violation.invariant != self._invariant:
            return False
        self.best = outcome
        return True
