"""Creates and deletes that this controller asked for and its cache does not show yet. Pure.

Without them a controller that reads a cache from before its own writes would create too many. For
one owner, with `create a`, `create b`, `delete c` expected:

    cache shows a             b, c pending
    cache shows c deleting    b pending
    cache loses b             none: it was created, and deleted by somebody else

What never shows up (its event was lost in a relist) is forgotten after `timeout` seconds.
Source: client-go's UIDTrackingControllerExpectations; names are chosen before the create here, so
that an event that overtakes the answer is recognised.
"""

from dataclasses import dataclass, field

from podling.kube import meta
from podling.kube.meta import Object

TIMEOUT = 30.0


@dataclass(slots=True)
class _Pending:
    creates: dict[str, float] = field(default_factory=dict)
    """Key -> when it is given up."""
    deletes: dict[str, float] = field(default_factory=dict)


class Expectations:
    """By owner; all times are of one steady clock."""

    def __init__(self, timeout: float = TIMEOUT) -> None:
        self._timeout = timeout
        self._pending: dict[str, _Pending] = {}
        self._owners: dict[str, str] = {}
        """Key of an expected object -> its owner."""

    def expect_create(self, owner: str, key: str, now: float) -> None:
        """Call before the create."""
        self._of(owner).creates[key] = now + self._timeout
        self._owners[key] = owner

    def expect_delete(self, owner: str, key: str, now: float) -> None:
        """Call before the delete."""
        self._of(owner).deletes[key] = now + self._timeout
        self._owners[key] = owner

    def give_up(self, key: str) -> None:
        """The write failed."""
        if (owner := self._owners.pop(key, None)) is not None:
            pending = self._of(owner)
            pending.creates.pop(key, None)
            pending.deletes.pop(key, None)

    def observe(self, key: str, obj: Object | None) -> None:
        """The cache shows this of an object now."""
        owner = self._owners.get(key)
        if owner is None:
            return
        pending = self._of(owner)
        pending.creates.pop(key, None)
        if obj is None or meta.is_deleting(obj):
            pending.deletes.pop(key, None)
        if key not in pending.deletes:
            del self._owners[key]

    def pending(self, owner: str, now: float) -> bool:
        """Whether the cache is behind what was done for `owner`."""
        pending = self._pending.get(owner)
        if pending is None:
            return False
        for waiting in (pending.creates, pending.deletes):
            for key in [key for key, deadline in waiting.items() if deadline <= now]:
                del waiting[key]
                self._owners.pop(key, None)
        if pending.creates or pending.deletes:
            return True
        del self._pending[owner]
        return False

    def forget(self, owner: str) -> None:
        """The owner is gone."""
        pending = self._pending.pop(owner, None)
        if pending is not None:
            for key in (*pending.creates, *pending.deletes):
                self._owners.pop(key, None)

    def _of(self, owner: str) -> _Pending:
        return self._pending.setdefault(owner, _Pending())
