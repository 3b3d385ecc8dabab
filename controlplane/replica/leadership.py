"""Who leads, as this replica knows it, and who wants to be told."""

import asyncio
from collections.abc import Callable

#: Told whether this replica leads, and the term in which it does or no longer does.
OnLeadership = Callable[[bool, int], None]


class Leadership:
    """Keeps the newest answer, wakes those who wait for another one."""

    def __init__(self) -> None:
        self.leader = 0
        """Member id; 0 if none is known."""
        self.changes = 0
        """How often another leader became known."""
        self._told = (False, 0)
        self._subscribers: list[OnLeadership] = []
        self._waiters: list[asyncio.Future[None]] = []

    def subscribe(self, callback: OnLeadership) -> Callable[[], None]:
        """Returns the way to end it."""
        self._subscribers.append(callback)

        def unsubscribe() -> None:
            if callback in self._subscribers:
                self._subscribers.remove(callback)

        return unsubscribe

    def update(self, leader: int, *, leads: bool, term: int) -> None:
        """What is known now; `leads` if this replica leads and has applied an entry of its term."""
        if leader != self.leader:
            self.leader = leader
            self.changes += leader != 0
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)
        led, led_term = self._told
        if led and (not leads or term != led_term):
            self._tell(False, term)
        if leads and self._told != (True, term):
            self._tell(True, term)

    async def change(self, timeout: float) -> None:
        """Wait until another leader is known, or none, or `timeout` seconds have passed."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await asyncio.wait([waiter], timeout=timeout)
        if waiter in self._waiters:
            self._waiters.remove(waiter)

    def _tell(self, leads: bool, term: int) -> None:
        self._told = (leads, term)
        for callback in list(self._subscribers):
            callback(leads, term)
