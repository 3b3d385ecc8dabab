"""How many requests are worked on at once; the rest are asked to come again."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from podling.kube import errors

READING = frozenset({"get", "list", "watch", "head"})


@dataclass(frozen=True, slots=True)
class InFlightConfig:
    """Upstream's --max-requests-inflight and --max-mutating-requests-inflight."""

    reads_max: int = 400
    writes_max: int = 200


class InFlight:
    """Counts requests until their answer begins. Watches are bounded by their own buffers."""

    def __init__(self, config: InFlightConfig) -> None:
        self._max = {True: config.reads_max, False: config.writes_max}
        self._count = {True: 0, False: 0}

    @contextmanager
    def admitted(self, verb: str) -> Iterator[None]:
        """Raises errors.TooManyRequests."""
        reading = verb in READING
        if self._count[reading] >= self._max[reading]:
            raise errors.TooManyRequests()
        self._count[reading] += 1
        try:
            yield
        finally:
            self._count[reading] -= 1

    @property
    def reads(self) -> int:
        return self._count[True]

    @property
    def writes(self) -> int:
        return self._count[False]
