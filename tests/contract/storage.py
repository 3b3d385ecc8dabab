"""What every `Storage` promises to the API server.

Derive from `StorageContract` and supply the fixture `storage`: an empty store of its own for each
test (keys of other users outside `/contract/` do no harm).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import pytest

from podling.aiokit.tasks import TaskSet
from podling.controlplane.apiserver.storage.interface import (
    Compacted,
    Event,
    FutureRevision,
    KeyValue,
    Storage,
    StorageError,
    Watch,
    WatchBatch,
    WriteResult,
)

T = TypeVar("T")

PREFIX, END = b"/contract/", b"/contract0"
PATIENCE = 30.0
"""Seconds until something that never comes is a failure."""


def key(name: str) -> bytes:
    return PREFIX + name.encode()


async def create(storage: Storage, name: str, value: bytes = b"value") -> WriteResult:
    result = await storage.put(key(name), value, expected_revision=0)
    assert result.succeeded
    return result


async def remove(storage: Storage, name: str) -> WriteResult:
    found = (await storage.get(key(name))).kv
    assert found is not None
    result = await storage.delete(key(name), expected_revision=found.mod_revision)
    assert result.succeeded
    return result


class Reader:
    """Reads one watch, and closes it at the end of the test."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._batches: AsyncIterator[WatchBatch] = aiter(watch)

    async def batch(self) -> WatchBatch:
        async with asyncio.timeout(PATIENCE):
            return await anext(self._batches)

    async def events(self, count: int) -> list[Event]:
        """The next `count` events; fails if batches are out of order or reach too far."""
        events: list[Event] = []
        reached = 0
        while len(events) < count:
            batch = await self.batch()
            assert batch.revision >= reached
            assert all(
                reached < event.kv.mod_revision <= batch.revision for event in batch.events
            ), "a revision was split, repeated or promised too early"
            reached = batch.revision
            events.extend(batch.events)
        assert len(events) == count
        return events

    async def __aenter__(self) -> "Reader":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.watch.close()


async def watch(storage: Storage, after: int, start: bytes = PREFIX, end: bytes = END) -> Reader:
    return Reader(await storage.watch(start, end, after_revision=after))


def brief(events: list[Event]) -> list[tuple[str, str, bytes]]:
    """Events as (what, name, value): what a failing comparison should show."""
    return [
        ("delete" if event.deleted else "put", event.kv.key.decode(), event.kv.value)
        for event in events
    ]


class KeysContract:
    """One key at a time: reads and compare-and-swap writes."""

    async def test_a_missing_key_is_none_at_the_current_revision(self, storage: Storage) -> None:
        written = await create(storage, "other")
        result = await storage.get(key("missing"))
        assert result.kv is None
        assert result.revision >= written.revision

    async def test_a_created_key_is_read_back_whole(self, storage: Storage) -> None:
        value = bytes(range(256))
        written = await create(storage, "a", value)
        assert written.current is None
        read = await storage.get(key("a"))
        assert read.kv == (key("a"), value, written.revision, written.revision, 1, 0)
        assert read.revision >= written.revision

    async def test_an_update_keeps_the_create_revision_and_counts_versions(
        self, storage: Storage
    ) -> None:
        first = await create(storage, "a", b"1")
        second = await storage.put(key("a"), b"2", expected_revision=first.revision)
        assert second.succeeded
        assert second.revision > first.revision
        read = (await storage.get(key("a"))).kv
        assert read == (key("a"), b"2", first.revision, second.revision, 2, 0)

    async def test_an_empty_value_is_a_value(self, storage: Storage) -> None:
        await create(storage, "a", b"")
        read = (await storage.get(key("a"))).kv
        assert read is not None
        assert read.value == b""

    async def test_creating_what_exists_changes_nothing_and_shows_it(
        self, storage: Storage
    ) -> None:
        first = await create(storage, "a", b"1")
        again = await storage.put(key("a"), b"2", expected_revision=0)
        assert not again.succeeded
        assert again.current == (key("a"), b"1", first.revision, first.revision, 1, 0)
        assert again.revision >= first.revision

    async def test_a_stale_update_changes_nothing_and_shows_the_present(
        self, storage: Storage
    ) -> None:
        first = await create(storage, "a", b"1")
        second = await storage.put(key("a"), b"2", expected_revision=first.revision)
        stale = await storage.put(key("a"), b"3", expected_revision=first.revision)
        assert not stale.succeeded
        assert stale.current is not None
        assert (stale.current.value, stale.current.mod_revision) == (b"2", second.revision)

    async def test_updating_what_does_not_exist_fails_without_a_current(
        self, storage: Storage
    ) -> None:
        result = await storage.put(key("a"), b"1", expected_revision=7)
        assert not result.succeeded
        assert result.current is None
        assert (await storage.get(key("a"))).kv is None

    async def test_a_delete_returns_what_it_deleted(self, storage: Storage) -> None:
        first = await create(storage, "a", b"1")
        gone = await storage.delete(key("a"), expected_revision=first.revision)
        assert gone.succeeded
        assert gone.revision > first.revision
        assert gone.current == (key("a"), b"1", first.revision, first.revision, 1, 0)
        assert (await storage.get(key("a"))).kv is None

    async def test_a_stale_delete_changes_nothing_and_shows_the_present(
        self, storage: Storage
    ) -> None:
        first = await create(storage, "a", b"1")
        second = await storage.put(key("a"), b"2", expected_revision=first.revision)
        stale = await storage.delete(key("a"), expected_revision=first.revision)
        assert not stale.succeeded
        assert stale.current is not None
        assert stale.current.mod_revision == second.revision

    async def test_deleting_what_does_not_exist_fails_without_a_current(
        self, storage: Storage
    ) -> None:
        result = await storage.delete(key("a"), expected_revision=7)
        assert not result.succeeded
        assert result.current is None

    async def test_a_recreated_key_starts_anew(self, storage: Storage) -> None:
        await create(storage, "a", b"1")
        await remove(storage, "a")
        again = await create(storage, "a", b"2")
        read = (await storage.get(key("a"))).kv
        assert read == (key("a"), b"2", again.revision, again.revision, 1, 0)

    async def test_a_write_that_did_not_succeed_uses_no_revision(self, storage: Storage) -> None:
        first = await create(storage, "a")
        await storage.put(key("a"), b"2", expected_revision=0)
        await storage.delete(key("b"), expected_revision=first.revision)
        assert (await create(storage, "c")).revision == first.revision + 1

    async def test_of_many_racing_updates_exactly_one_succeeds(self, storage: Storage) -> None:
        first = await create(storage, "a")
        async with TaskSet("race") as tasks:
            racers = [
                tasks.spawn(
                    storage.put(key("a"), b"%d" % n, expected_revision=first.revision), name=str(n)
                )
                for n in range(16)
            ]
            results = [await racer for racer in racers]
        winners = [n for n, result in enumerate(results) if result.succeeded]
        assert len(winners) == 1
        read = (await storage.get(key("a"))).kv
        assert read is not None
        assert read.value == b"%d" % winners[0]


class RangesContract:
    """Ranges, now and in the past."""

    async def test_a_range_is_ordered_and_half_open(self, storage: Storage) -> None:
        for name in ("b", "c", "a", "d"):
            await create(storage, name)
        result = await storage.list(key("a"), key("d"))
        assert [kv.key for kv in result.kvs] == [key("a"), key("b"), key("c")]
        assert result.total == 3

    async def test_a_limited_range_counts_all_and_can_be_continued(self, storage: Storage) -> None:
        for number in range(5):
            await create(storage, f"k{number}")
        first = await storage.list(PREFIX, END, limit=2)
        assert [kv.key for kv in first.kvs] == [key("k0"), key("k1")]
        assert first.total == 5
        rest = await storage.list(first.kvs[-1].key + b"\0", END, limit=10, revision=first.revision)
        assert [kv.key for kv in rest.kvs] == [key("k2"), key("k3"), key("k4")]
        assert rest.total == 3

    async def test_an_empty_range_has_a_revision(self, storage: Storage) -> None:
        written = await create(storage, "a")
        result = await storage.list(key("x"), key("y"))
        assert (list(result.kvs), result.total) == ([], 0)
        assert result.revision >= written.revision

    async def test_an_old_revision_shows_the_past(self, storage: Storage) -> None:
        first = await create(storage, "a", b"1")
        await storage.put(key("a"), b"2", expected_revision=first.revision)
        await create(storage, "b")
        before = await storage.list(PREFIX, END, revision=first.revision)
        assert [(kv.key, kv.value, kv.version) for kv in before.kvs] == [(key("a"), b"1", 1)]
        assert before.total == 1

    async def test_what_was_deleted_since_is_in_the_past(self, storage: Storage) -> None:
        await create(storage, "a")
        second = await create(storage, "b")
        gone = await remove(storage, "a")
        before = await storage.list(PREFIX, END, revision=second.revision)
        assert [kv.key for kv in before.kvs] == [key("a"), key("b")]
        after = await storage.list(PREFIX, END, revision=gone.revision)
        assert [kv.key for kv in after.kvs] == [key("b")]

    async def test_an_old_read_still_tells_the_present_revision(self, storage: Storage) -> None:
        first = await create(storage, "a")
        second = await create(storage, "b")
        result = await storage.list(PREFIX, END, revision=first.revision)
        assert result.revision >= second.revision

    async def test_a_revision_to_come_is_refused(self, storage: Storage) -> None:
        now = await create(storage, "a")
        with pytest.raises(FutureRevision):
            await storage.list(PREFIX, END, revision=now.revision + 1000)

    async def test_a_compacted_revision_is_refused_and_the_oldest_named(
        self, storage: Storage
    ) -> None:
        first = await create(storage, "a", b"1")
        second = await storage.put(key("a"), b"2", expected_revision=first.revision)
        third = await create(storage, "b")
        await storage.compact(second.revision)
        with pytest.raises(Compacted) as refused:
            await storage.list(PREFIX, END, revision=first.revision)
        assert refused.value.compact_revision == second.revision
        kept = await storage.list(PREFIX, END, revision=second.revision)
        assert [(kv.key, kv.value) for kv in kept.kvs] == [(key("a"), b"2")]
        now = await storage.list(PREFIX, END, revision=third.revision)
        assert [kv.key for kv in now.kvs] == [key("a"), key("b")]

    async def test_compacting_twice_or_late_is_no_error(self, storage: Storage) -> None:
        first = await create(storage, "a")
        second = await create(storage, "b")
        await storage.compact(second.revision)
        await storage.compact(second.revision)
        await storage.compact(first.revision)
        assert (await storage.list(PREFIX, END)).total == 2


class WatchesContract:
    """Watches: complete, in order, without repetition."""

    async def test_a_watch_sees_what_happens_after_its_revision(self, storage: Storage) -> None:
        first = await create(storage, "a", b"1")
        async with await watch(storage, first.revision) as reader:
            second = await storage.put(key("a"), b"2", expected_revision=first.revision)
            third = await storage.delete(key("a"), expected_revision=second.revision)
            put, delete = await reader.events(2)
        assert put.kv == (key("a"), b"2", first.revision, second.revision, 2, 0)
        assert put.previous == (key("a"), b"1", first.revision, first.revision, 1, 0)
        assert not put.deleted
        assert delete.deleted
        assert (delete.kv.key, delete.kv.value) == (key("a"), b"")
        assert delete.kv.mod_revision == third.revision
        assert delete.previous == put.kv

    async def test_a_creation_has_no_previous_state(self, storage: Storage) -> None:
        start = (await storage.get(key("a"))).revision
        async with await watch(storage, start) as reader:
            await create(storage, "a")
            (event,) = await reader.events(1)
        assert event.previous is None
        assert event.kv.version == 1

    async def test_a_watch_from_the_past_catches_up_and_goes_on(self, storage: Storage) -> None:
        first = await create(storage, "a", b"1")
        await create(storage, "b", b"2")
        await remove(storage, "b")
        async with await watch(storage, first.revision) as reader:
            await create(storage, "c", b"3")
            events = await reader.events(3)
        assert brief(events) == [
            ("put", "/contract/b", b"2"),
            ("delete", "/contract/b", b""),
            ("put", "/contract/c", b"3"),
        ]

    async def test_a_caught_up_delete_carries_the_previous_state(self, storage: Storage) -> None:
        first = await create(storage, "a", b"1")
        await remove(storage, "a")
        async with await watch(storage, first.revision) as reader:
            (event,) = await reader.events(1)
        assert event.previous is not None
        assert (event.previous.value, event.previous.mod_revision) == (b"1", first.revision)

    async def test_a_watch_sees_its_range_only(self, storage: Storage) -> None:
        start = (await storage.get(key("a"))).revision
        async with await watch(storage, start, key("b"), key("c")) as reader:
            for name in ("a", "b1", "c", "b2"):
                await create(storage, name)
            events = await reader.events(2)
        assert [event.kv.key for event in events] == [key("b1"), key("b2")]

    async def test_two_watches_see_the_same(self, storage: Storage) -> None:
        start = (await storage.get(key("a"))).revision
        async with await watch(storage, start) as one, await watch(storage, start) as two:
            for number in range(20):
                await create(storage, f"k{number:02}")
            assert await one.events(20) == await two.events(20)

    async def test_a_watch_of_a_revision_to_come_waits_for_it(self, storage: Storage) -> None:
        now = (await create(storage, "a")).revision
        async with await watch(storage, now + 1) as reader:
            await create(storage, "skipped")
            await create(storage, "seen")
            (event,) = await reader.events(1)
        assert event.kv.key == key("seen")

    async def test_progress_says_that_everything_was_delivered(self, storage: Storage) -> None:
        start = (await storage.get(key("a"))).revision
        async with await watch(storage, start) as reader:
            await create(storage, "a")
            outside = await storage.put(b"/outside/contract", b"", expected_revision=0)
            assert outside.succeeded
            seen, revision = 0, 0
            while revision < outside.revision:
                await reader.watch.request_progress()
                batch = await reader.batch()
                seen, revision = seen + len(batch.events), batch.revision
            assert seen == 1
        await storage.delete(b"/outside/contract", expected_revision=outside.revision)

    async def test_a_watch_of_compacted_history_is_refused(self, storage: Storage) -> None:
        first = await create(storage, "a")
        for number in range(3):
            await create(storage, f"b{number}")
        last = await create(storage, "c")
        await storage.compact(last.revision)
        with pytest.raises(Compacted) as refused:
            async with await watch(storage, first.revision) as reader:
                await reader.batch()
        assert refused.value.compact_revision == last.revision

    async def test_a_watch_after_the_compacted_revision_is_complete(self, storage: Storage) -> None:
        await create(storage, "a")
        last = await create(storage, "b")
        await storage.compact(last.revision)
        async with await watch(storage, last.revision) as reader:
            await create(storage, "c")
            (event,) = await reader.events(1)
        assert event.kv.key == key("c")

    async def test_compacting_does_not_disturb_a_watch(self, storage: Storage) -> None:
        start = (await storage.get(key("a"))).revision
        async with await watch(storage, start) as reader:
            await create(storage, "a")
            assert len(await reader.events(1)) == 1
            last = await create(storage, "b")
            assert len(await reader.events(1)) == 1
            await storage.compact(last.revision)
            await create(storage, "c")
            (event,) = await reader.events(1)
        assert event.kv.key == key("c")

    async def test_closing_ends_the_iteration(self, storage: Storage) -> None:
        start = (await storage.get(key("a"))).revision
        reader = await watch(storage, start)
        async with TaskSet("closing") as tasks:
            waiting = tasks.spawn(_count(reader.watch), name="read")
            await create(storage, "a")
            await reader.watch.close()
            async with asyncio.timeout(PATIENCE):
                await waiting
        await reader.watch.close()


async def in_time(attempt: Callable[[], Awaitable[T | None]]) -> T:
    """What is done before a lease of a second is over: None, or a refusal, says that it was.

    That is long enough, but for a machine that stops in between.
    """
    for _ in range(10):
        with contextlib.suppress(StorageError):
            if (done := await attempt()) is not None:
                return done
    raise AssertionError("a lease of a second is never long enough to write two keys")


async def _count(watch: Watch) -> int:
    return sum([len(batch.events) async for batch in watch])


class LeasesContract:
    """Keys that die with a lease."""

    async def test_a_key_dies_with_its_lease_and_a_watch_sees_it(self, storage: Storage) -> None:
        async def write() -> KeyValue | None:
            lease = await storage.grant_lease(1)
            await storage.put(key("a"), b"1", expected_revision=0, lease=lease)
            read = (await storage.get(key("a"))).kv
            assert read is None or read.lease == lease
            return read

        read = await in_time(write)
        async with await watch(storage, read.mod_revision) as reader:
            (event,) = await reader.events(1)
        assert event.deleted
        assert event.previous == read
        assert (await storage.get(key("a"))).kv is None

    async def test_a_key_written_without_the_lease_survives_it(self, storage: Storage) -> None:
        async def write() -> WriteResult | None:
            lease = await storage.grant_lease(1)
            kept = await storage.put(key("kept"), b"1", expected_revision=0, lease=lease)
            await storage.put(key("dies"), b"1", expected_revision=0, lease=lease)
            again = await storage.put(key("kept"), b"2", expected_revision=kept.revision)
            return again if again.succeeded else None

        again = await in_time(write)
        async with await watch(storage, again.revision) as reader:
            (event,) = await reader.events(1)
        assert (event.deleted, event.kv.key) == (True, key("dies"))
        read = (await storage.get(key("kept"))).kv
        assert read is not None
        assert (read.value, read.lease) == (b"2", 0)

    async def test_leases_differ(self, storage: Storage) -> None:
        assert await storage.grant_lease(60) != await storage.grant_lease(60)

    async def test_an_unknown_lease_is_refused_and_nothing_is_written(
        self, storage: Storage
    ) -> None:
        with pytest.raises(StorageError):
            await storage.put(key("a"), b"1", expected_revision=0, lease=1234567)
        assert (await storage.get(key("a"))).kv is None


class StorageContract(KeysContract, RangesContract, WatchesContract, LeasesContract):
    """Everything above; derive from this one."""
