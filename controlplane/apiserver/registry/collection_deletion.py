"""Deletes many objects of a kind, some at once, because each has to wait for the store."""

from collections.abc import Iterable, Iterator

from podling.aiokit.tasks import TaskSet
from podling.controlplane.apiserver.registry.registry import Call, Registry
from podling.controlplane.apiserver.request.options import DeleteOptions
from podling.controlplane.apiserver.storage.encoded import Encoded
from podling.controlplane.apiserver.storage.interface import StorageError
from podling.kube import errors, meta
from podling.kube.errors import ApiError
from podling.kube.kinds import Kind
from podling.kube.meta import Object

WORKERS = 8


async def delete_all(
    registry: Registry, kind: Kind, entries: Iterable[Encoded], options: DeleteOptions, call: Call
) -> list[Object]:
    """What became of each object, in order of keys. An object that goes meanwhile is no error.

    The first failure is raised; what is deleted by then stays so.
    """
    work = _Work(registry, kind, options, call, iter(entries))
    async with TaskSet("deletecollection") as tasks:
        for worker in [tasks.spawn(work.run(), name=str(number)) for number in range(WORKERS)]:
            await worker
    if work.failure is not None:
        raise work.failure
    return [work.done[key] for key in sorted(work.done)]


class _Work:
    """What all workers share."""

    def __init__(
        self,
        registry: Registry,
        kind: Kind,
        options: DeleteOptions,
        call: Call,
        waiting: Iterator[Encoded],
    ) -> None:
        self.done: dict[bytes, Object] = {}
        self.failure: ApiError | StorageError | None = None
        self._registry = registry
        self._kind = kind
        self._options = options
        self._call = call
        self._waiting = waiting

    async def run(self) -> None:
        for entry in self._waiting:
            try:
                await self._delete(entry)
            except (ApiError, StorageError) as error:
                self.failure = self.failure or error
            if self.failure is not None:
                return

    async def _delete(self, entry: Encoded) -> None:
        obj = entry.decode()
        try:
            deleted = await self._registry.delete(
                self._kind, meta.namespace(obj), meta.name(obj), self._options, self._call
            )
        except errors.NotFound:
            return
        self.done[entry.key] = deleted.obj
