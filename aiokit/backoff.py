"""Capped exponential back-off with jitter.

Worked example, with `Backoff(first=0.1, cap=1.0, dice=Random(0))`: the bounds of the successive
delays are 0.1, 0.2, 0.4, 0.8, 1.0, 1.0 seconds, and each delay is drawn from the upper half of its
bound, so that clients which failed together do not come back together.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random


@dataclass(slots=True)
class Backoff:
    """The delay before the next try of one thing that keeps failing."""

    first: float
    """Seconds: upper bound of the first delay; above zero."""
    cap: float
    """Seconds: upper bound of any delay; at least `first`."""
    dice: "random.Random"
    factor: float = 2.0
    _failures: int = field(default=0, init=False)

    def next(self) -> float:
        """Count one more failure and return the delay before the next try, in seconds."""
        bound = min(self.cap, self.first * self.factor**self._failures)
        # Beyond the cap the exponent must not grow: factor**10_000 overflows.
        if bound < self.cap:
            self._failures += 1
        return bound * self.dice.uniform(0.5, 1.0)

    def reset(self) -> None:
        """The thing worked: the next failure starts from `first` again."""
        self._failures = 0
