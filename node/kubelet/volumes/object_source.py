"""ConfigMaps and Secrets, read when a pod needs them and watched while a volume shows them.

Each is read and watched by its own name, so that a node sees only what its pods refer to.
"""

from collections.abc import Callable, Iterable
from random import Random

from podling.kube import kinds
from podling.kube.client import Client
from podling.kube.errors import NotFound
from podling.kube.informer import InformerFactory
from podling.kube.kinds import Kind
from podling.kube.meta import Object
from podling.node.kubelet.containers.references import CONFIG_MAP, SECRET, Reference, Sources

KINDS: dict[str, Kind] = {CONFIG_MAP: kinds.CONFIG_MAP, SECRET: kinds.SECRET}


class ObjectSource:
    """Reads through `client`; a component that ends its watches."""

    name = "objects"

    def __init__(self, client: Client, dice: Random) -> None:
        self._client = client
        self._dice = dice
        self._watches: dict[tuple[str, str, str], _Watch] = {}

    async def start(self) -> None:
        """Nothing to do before the first pod."""

    async def stop(self) -> None:
        for watch in self._watches.values():
            await watch.factory.stop()
        self._watches.clear()

    async def read(self, namespace: str, references: Iterable[Reference]) -> Sources:
        """The objects as they are now; absent ones are left out. Raises the client's errors."""
        found: dict[tuple[str, str], Object] = {}
        for kind, name in {(reference.kind, reference.name) for reference in references}:
            try:
                found[kind, name] = await self._client.get(KINDS[kind], name, namespace)
            except NotFound:
                continue
        return Sources(found)

    async def watch(
        self, namespace: str, references: Iterable[Reference], changed: Callable[[], None]
    ) -> Callable[[], None]:
        """Call `changed` when one of the objects changes; returns what ends that."""
        ends = [
            await self._watch_one(reference.kind, namespace, reference.name, changed)
            for reference in set(references)
        ]

        def end() -> None:
            for each in ends:
                each()

        return end

    async def collect(self) -> None:
        """End the watches that nobody wants any more."""
        for key in [key for key, watch in self._watches.items() if not watch.users]:
            await self._watches.pop(key).factory.stop()

    async def _watch_one(
        self, kind: str, namespace: str, name: str, changed: Callable[[], None]
    ) -> Callable[[], None]:
        key = (kind, namespace, name)
        watch = self._watches.get(key)
        if watch is None:
            watch = self._watches[key] = _Watch(self._client, self._dice)
            await watch.begin(KINDS[kind], namespace, name)
        return watch.use(changed)


class _Watch:
    """One watched object and those who want to hear of it."""

    def __init__(self, client: Client, dice: Random) -> None:
        self.factory = InformerFactory(client, dice)
        self.users: list[Callable[[], None]] = []
        self._last = ""

    async def begin(self, kind: Kind, namespace: str, name: str) -> None:
        informer = self.factory.informer(
            kind, namespace=namespace, field_selector=f"metadata.name={name}"
        )

        def tell(key: str) -> None:
            version = informer.resource_version(key)
            if version != self._last:
                self._last = version
                for user in tuple(self.users):
                    user()

        informer.subscribe(tell)
        await self.factory.start()

    def use(self, changed: Callable[[], None]) -> Callable[[], None]:
        self.users.append(changed)

        def end() -> None:
            if changed in self.users:
                self.users.remove(changed)

        return end
