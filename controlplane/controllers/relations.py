"""From the key of an object that changed to the keys of those that must know.

An informer tells only a key, and of a deleted object nothing is left to read. So a relation
remembers, for each dependent, whom it related to when it was last seen:

    pod web/a is controlled by replica set web/r        a changes      -> r
    a is released, and then adopted by web/s            a changes      -> r and s
    a is deleted                                        a is gone      -> s
"""

from collections.abc import Callable, Iterable

from podling.kube.informer import Informer
from podling.kube.meta import Object

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

    def add(self, informer: Informer, subscriber: Callable[[str], None]) -> None:
        self._ends.append(informer.subscribe(subscriber))

    def relate(self, informer: Informer, relate: Relate, enqueue: Callable[[str], None]) -> None:
        self.add(informer, Relation(informer, relate, enqueue))

    def end(self) -> None:
        for end in self._ends:
            end()
        self._ends.clear()
