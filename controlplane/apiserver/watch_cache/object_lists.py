"""Lists: which revision is asked for, and the objects at it, in pages.

    resourceVersion unset      as new as the store is now, answered from the cache
    "0"                        whatever the cache has
    N                          the cache, once it has come as far as N
    N, match Exact             exactly N: the cache if nothing of the kind has changed since, else
                               the store's past
    continue                   exactly the revision of the first page

Source: the Kubernetes document "Kubernetes API concepts", sections "Semantics for get and list" and
"Retrieving large results sets in chunks".
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from itertools import islice

from podling.controlplane.apiserver.request import continue_tokens
from podling.controlplane.apiserver.request.continue_tokens import (
    INCONSISTENT,
    ContinueExpired,
    Position,
)
from podling.controlplane.apiserver.request.options import EXACT, ListOptions, check_list
from podling.controlplane.apiserver.storage import encoded
from podling.controlplane.apiserver.storage.encoded import Encoded
from podling.controlplane.apiserver.storage.interface import Compacted, FutureRevision, Storage
from podling.controlplane.apiserver.watch_cache.kind_cache import Snapshot, prefix_end
from podling.controlplane.apiserver.watch_cache.selection import Selection, select
from podling.controlplane.apiserver.watch_cache.watch_cache import WatchCache
from podling.kube import errors
from podling.kube.kinds import Kind
from podling.kube.label_selectors import SelectorError

CATCH_UP_SECONDS = 3.0
"""How long a request waits until the cache has come to its revision."""
REFRESH_SECONDS = 10.0
"""How long a request waits for the store to tell its revision and the cache to come that far."""
STORE_PAGE = 500
SLICE = 0.005
"""Seconds of work after which others get their turn."""
LOOK_AT_CLOCK = 256
"""Objects between two looks at the clock."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some objects of a list, all at the same revision."""

    entries: list[Encoded]
    revision: int
    continue_token: str = ""
    """Where the next page begins; empty after the last."""
    remaining: int | None = None
    """How many follow, where that is known."""


def selection_for(kind: Kind, namespace: str, options: ListOptions) -> Selection:
    """Raises errors.BadRequest for selectors that cannot be understood."""
    try:
        return select(kind, namespace, options.label_selector, options.field_selector)
    except SelectorError as error:
        raise errors.BadRequest(str(error)) from error


class ObjectLists:
    """Reads lists; raises ApiError or StorageError."""

    def __init__(self, cache: WatchCache, storage: Storage) -> None:
        self._cache = cache
        self._storage = storage

    async def page(self, kind: Kind, namespace: str, options: ListOptions) -> Page:
        check_list(options)
        selection = selection_for(kind, namespace, options)
        start, exact = selection.prefix, 0
        if options.continue_token:
            start, exact = await self._continue(options.continue_token, selection.prefix)
        elif options.resource_version_match == EXACT:
            exact = int(options.resource_version)
            await self.catch_up(exact)
        else:
            await self.catch_up_for(options.resource_version)
        cache = self._cache.of(kind)
        revision = exact or self._cache.revision
        if cache.changed <= revision <= self._cache.revision:
            snapshot = cache.snapshot(selection.prefix, start)
            return await _from_snapshot(snapshot, selection, revision, options.limit)
        return await self._from_store(kind, selection, Position(revision, start), options)

    async def one(self, kind: Kind, namespace: str, name: str, revision: int) -> Encoded:
        """One object from the cache, not older than `revision` (0: of any age)."""
        await self.catch_up(revision)
        entry = self._cache.of(kind).get(kind.storage_key(namespace, name))
        if entry is None:
            raise errors.NotFound(kind=kind, name=name)
        return entry

    async def catch_up_for(self, resource_version: str) -> None:
        """Wait until the cache is as new as a `resourceVersion` without match asks for."""
        if resource_version == "":
            await self.refresh()
        else:
            await self.catch_up(int(resource_version))

    async def refresh(self) -> None:
        """Wait until the cache is as new as the store. Raises errors.Timeout."""
        try:
            await self._cache.refresh(REFRESH_SECONDS)
        except TimeoutError:
            raise errors.Timeout(
                f"the cache, at revision {self._cache.revision}, did not catch up with the store",
                retry_after=1,
            ) from None

    async def catch_up(self, revision: int) -> None:
        """Wait until the cache holds `revision`. Raises errors.Timeout."""
        try:
            async with asyncio.timeout(CATCH_UP_SECONDS):
                await self._cache.reached(revision)
        except TimeoutError:
            raise errors.too_large_resource_version(revision, self._cache.revision) from None

    async def _continue(self, token: str, prefix: bytes) -> tuple[bytes, int]:
        position = continue_tokens.decode(token, prefix)
        if position.revision == INCONSISTENT:
            await self.refresh()
            return position.start, 0
        await self.catch_up(position.revision)
        return position.start, position.revision

    async def _from_store(
        self, kind: Kind, selection: Selection, position: Position, options: ListOptions
    ) -> Page:
        try:
            entries: list[Encoded] = []
            async for entry in self._read_past(kind, selection, position):
                if options.limit and len(entries) == options.limit:
                    token = _token(position.revision, entries[-1], selection)
                    return Page(entries, position.revision, token)
                entries.append(entry)
            return Page(entries, position.revision)
        except Compacted as error:
            if not options.continue_token:
                raise errors.Expired(
                    f"The provided resource version is too old: {position.revision}, the oldest "
                    f"available is {error.compact_revision}"
                ) from error
            resume = Position(INCONSISTENT, position.start)
            raise ContinueExpired(continue_tokens.encode(resume, selection.prefix)) from error
        except FutureRevision as error:
            raise errors.too_large_resource_version(
                position.revision, self._cache.revision
            ) from error

    async def _read_past(
        self, kind: Kind, selection: Selection, position: Position
    ) -> AsyncIterator[Encoded]:
        """What is selected in the store as of a revision, from a key on."""
        start, end = position.start, prefix_end(selection.prefix)
        while True:
            page = await self._storage.list(
                start, end, limit=STORE_PAGE, revision=position.revision
            )
            for kv in page.kvs:
                entry = encoded.encode(kind, kv)
                if selection.matches(entry):
                    yield entry
            if page.total <= len(page.kvs):
                return
            start = page.kvs[-1].key + b"\0"
            await asyncio.sleep(0)


async def _from_snapshot(
    snapshot: Snapshot, selection: Selection, revision: int, limit: int
) -> Page:
    if selection.is_whole:
        shown = list(islice(snapshot, limit or None))
        remaining = len(snapshot) - len(shown)
        if not remaining:
            return Page(shown, revision)
        return Page(shown, revision, _token(revision, shown[-1], selection), remaining)
    found: list[Encoded] = []
    async for entry in filtered(snapshot, selection):
        if limit and len(found) == limit:
            return Page(found, revision, _token(revision, found[-1], selection))
        found.append(entry)
    return Page(found, revision)


async def filtered(entries: Iterable[Encoded], selection: Selection) -> AsyncIterator[Encoded]:
    """The entries that are selected, giving others their turn in between."""
    loop = asyncio.get_running_loop()
    turn_ends = loop.time() + SLICE
    for number, entry in enumerate(entries):
        if number % LOOK_AT_CLOCK == 0 and loop.time() > turn_ends:
            await asyncio.sleep(0)
            turn_ends = loop.time() + SLICE
        if selection.matches(entry):
            yield entry


def _token(revision: int, last: Encoded, selection: Selection) -> str:
    return continue_tokens.encode(Position(revision, last.key + b"\0"), selection.prefix)
