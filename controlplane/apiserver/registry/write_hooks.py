"""What must be taken from a common stock before an object is stored, and given back after.

Most kinds need nothing; a Service needs an address. A hook is told of every write of its kind that
is about to be stored and returns a reservation, which is kept if the write happened and given back
if it did not. If nobody knows whether it happened, the reservation is left alone: an address too
many is found and freed later, an address given twice is a fault.
"""

from collections.abc import Sequence
from typing import Protocol

from podling.kube.meta import Object


class Reservation(Protocol):
    """What was taken for one write."""

    async def keep(self) -> None:
        """The write happened."""

    async def give_back(self) -> None:
        """The write did not happen."""


class WriteHook(Protocol):
    """Runs after validation, right before the store."""

    async def reserve(self, new: Object, old: Object | None, *, dry_run: bool) -> Reservation:
        """Take what `new` needs and write it into `new`; `old` is None for a creation.

        Raises an ApiError if it cannot be had. A dry run takes nothing.
        """

    async def released(self, old: Object) -> None:
        """The object is gone: what it held is free."""


class Nothing:
    """The reservation of a write that needs none."""

    async def keep(self) -> None: ...

    async def give_back(self) -> None: ...


class NoHook:
    """The hook of a kind that needs nothing."""

    async def reserve(self, new: Object, old: Object | None, *, dry_run: bool) -> Reservation:
        return Nothing()

    async def released(self, old: Object) -> None: ...


class Hooks:
    """Several hooks as one: what the first has taken is given back if a later one fails."""

    def __init__(self, *hooks: WriteHook) -> None:
        self._hooks = hooks

    async def reserve(self, new: Object, old: Object | None, *, dry_run: bool) -> Reservation:
        taken: list[Reservation] = []
        try:
            for hook in self._hooks:
                taken.append(await hook.reserve(new, old, dry_run=dry_run))
        except Exception:
            await _Reservations(taken).give_back()
            raise
        return _Reservations(taken)

    async def released(self, old: Object) -> None:
        for hook in self._hooks:
            await hook.released(old)


class _Reservations:
    def __init__(self, taken: Sequence[Reservation]) -> None:
        self._taken = taken

    async def keep(self) -> None:
        for reservation in self._taken:
            await reservation.keep()

    async def give_back(self) -> None:
        for reservation in self._taken:
            await reservation.give_back()
