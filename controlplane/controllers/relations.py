"""From the key of an object that changed to the keys of those that must know.

An informer tells only a key, and of a deleted object nothing is left to read. So a relation
remembers, for each dependent, whom it related to when it was last seen:

    pod web/a is controlled by replica set web/r        a changes      -> r
    a is released, and then adopted by web/s            a changes      -> r and s
    a is deleted                                        a is gone      -> s
"""

import asyncio
import logging
from collections.abc import Callable, Iterable

from podling.kube.informer import Informer
from podling.kube.meta import Object

log = logging.getLogger(__name__)

SLICE = 200
"""Objects told of in one go: a few milliseconds' work."""

#: The keys that must hear of the object.
Relate = Callable[[Object], Iterable[str]]


class Relation:
    """A subscriber of one informer that enqueues related keys."""

    def __init__(self, informer: Informer, relate: Relate, enqueue: Callable[[str], None]) -> None:
        self._informer = informer
        self._relate = relate
        self._enqueue = enqueue
        self._known: dict[str, tuple[str, ...]] = {}

    def __call__(self, key: str) -> None:
        obj = self._informer.get(key)
        before = self._known.pop(key, ())
        now = () if obj is None else tuple(self._relate(obj))
        if now:
            self._known[key] = now
        for related in dict.fromkeys((*before, *now)):
            self._enqueue(related)


class Subscriptions:
    """What a controller listens to, so that it can stop listening: informers outlive it."""

    def __init__(self) -> None:
        self._ends: list[Callable[[], None]] = []

    async def add(self, informer: Informer, subscriber: Callable[[str], None]) -> None:
        """Tell `subscriber` of every change from now on, and first of every object there is.

        A hundred thousand of them are told in slices, so that others on the loop have their turn;
        what changes meanwhile is told at once, and perhaps again.
        """
        backlog: list[str] = []
        hear = backlog.append

        def tell(key: str) -> None:
            hear(key)

        self._ends.append(informer.subscribe(tell))
        hear = subscriber
        for start in range(0, len(backlog), SLICE):
            for key in backlog[start : start + SLICE]:
                try:
                    subscriber(key)
                except Exception:
                    log.exception("%s: a subscriber failed on %s", informer.source, key)
            await asyncio.sleep(0)

    async def relate(
        self, informer: Informer, relate: Relate, enqueue: Callable[[str], None]
    ) -> None:
        """Add a `Relation`."""
        await self.add(informer, Relation(informer, relate, enqueue))

    def end(self) -> None:
        for end in self._ends:
            end()
        self._ends.clear()
