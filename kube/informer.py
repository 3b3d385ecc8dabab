"""A local, read-only copy of the objects of one kind, which tells subscribers the keys that change.

    informers = InformerFactory(client, dice)
    pods = informers.informer(kinds.POD)
    pods.add_index("node", lambda pod: [pod["spec"].get("nodeName", "")])
    pods.subscribe(reconciler.enqueue)
    await informers.start()
    await pods.wait_synced()

One factory serves all components of a process, so that each kind is watched once. What a
subscriber gets is a key and nothing else; it reads the newest state when it comes to it.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from random import Random
from typing import Final

from podling.aiokit.tasks import OnDeath, TaskSet
from podling.kube import meta
from podling.kube.client import Client, ObjectList
from podling.kube.kinds import Kind
from podling.kube.meta import Object
from podling.kube.object_cache import Entry, IndexFunction, ObjectCache
from podling.kube.reflector import Reflector, Source

log = logging.getLogger(__name__)

#: Told the key of an object that came, changed or went. It must be quick and may not raise.
Subscriber = Callable[[str], None]

SLICE: Final = 500
"""Keys told, or objects encoded, before others on the loop have their turn."""


class Informer:
    """The objects of one source, as the API server had them a moment ago."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._cache = ObjectCache()
        self._subscribers: list[Subscriber] = []
        self._synced = asyncio.Event()

    @property
    def kind(self) -> Kind:
        return self._source.kind

    @property
    def source(self) -> Source:
        return self._source

    @property
    def synced(self) -> bool:
        """Whether the objects were read once; before that the copy is empty."""
        return self._synced.is_set()

    async def wait_synced(self) -> None:
        await self._synced.wait()

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Tell `subscriber` every key there is, now, and from now on every key that changes.

        Returns what ends the subscription.
        """
        self._subscribers.append(subscriber)
        for key in self.keys():
            subscriber(key)

        def unsubscribe() -> None:
            if subscriber in self._subscribers:
                self._subscribers.remove(subscriber)

        return unsubscribe

    def __len__(self) -> int:
        return len(self._cache)

    def keys(self) -> list[str]:
        return self._cache.keys()

    def get(self, key: str) -> Object | None:
        """The object, decoded anew for each caller; None if there is none."""
        return self._cache.get(key)

    def objects(self) -> list[Object]:
        """All objects decoded: for small kinds, or rarely."""
        return self._decoded(self._cache.keys())

    def encoded(self, key: str) -> bytes | None:
        """The object as JSON."""
        return self._cache.encoded(key)

    def labels(self, key: str) -> Mapping[str, str] | None:
        """The labels without decoding the object; not to be written to."""
        return self._cache.labels(key)

    def resource_version(self, key: str) -> str:
        """Of the object, without decoding it; empty if there is none."""
        return self._cache.resource_version(key)

    def add_index(self, name: str, function: IndexFunction) -> None:
        """Find objects by the values `function` gives for each; see `ObjectCache.add_index`."""
        self._cache.add_index(name, function)

    def by_index(self, name: str, value: str) -> list[Object]:
        return self._decoded(self._cache.by_index(name, value))

    def keys_by_index(self, name: str, value: str) -> list[str]:
        return self._cache.by_index(name, value)

    # What follows is the reflector's `Sink`.

    async def replace(self, pages: AsyncGenerator[ObjectList, None]) -> str:
        entries: dict[str, Entry] = {}
        revision = ""
        async for page in pages:
            revision = page.resource_version
            for obj in page.items:
                entries[meta.key(obj)] = self._cache.entry(obj)
            await asyncio.sleep(0)
        changed = self._cache.replace(entries)
        self._synced.set()
        for start in range(0, len(changed), SLICE):
            for key in changed[start : start + SLICE]:
                self._tell(key)
            await asyncio.sleep(0)
        return revision

    def put(self, obj: Object, encoded: bytes) -> None:
        self._tell(self._cache.put(obj, encoded))

    def remove(self, obj: Object) -> None:
        self._tell(self._cache.remove(obj))

    def _tell(self, key: str) -> None:
        for subscriber in tuple(self._subscribers):
            try:
                subscriber(key)
            except Exception:
                log.exception("%s: a subscriber failed on %s", self._source, key)

    def _decoded(self, keys: list[str]) -> list[Object]:
        return [obj for key in keys if (obj := self._cache.get(key)) is not None]


class InformerFactory:
    """One informer per source; a component of the process that starts and stops them together."""

    def __init__(self, client: Client, dice: Random, *, on_death: OnDeath | None = None) -> None:
        """`on_death` is told if following a source ends by a defect of our own."""
        self._client = client
        self._dice = dice
        self._informers: dict[Source, Informer] = {}
        self._tasks = TaskSet("informers", on_death)
        self._started = False

    @property
    def name(self) -> str:
        return "informers"

    def informer(
        self,
        kind: Kind,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
    ) -> Informer:
        """The informer of these objects; callers with the same arguments share one."""
        source = Source(kind, namespace, label_selector, field_selector)
        informer = self._informers.get(source)
        if informer is None:
            informer = self._informers[source] = Informer(source)
            if self._started:
                self._follow(informer)
        return informer

    async def start(self) -> None:
        """Begin to follow; does not wait, as the API server may be started after this."""
        self._started = True
        for informer in self._informers.values():
            self._follow(informer)

    async def wait_synced(self) -> None:
        """Until every informer there is now has been filled once."""
        for informer in tuple(self._informers.values()):
            await informer.wait_synced()

    async def stop(self) -> None:
        self._started = False
        await self._tasks.close()

    def _follow(self, informer: Informer) -> None:
        reflector = Reflector(self._client, informer.source, informer, self._dice)
        self._tasks.spawn(reflector.run(), name=str(informer.source))
