"""Watchers: whatever the reader's pace, every event of interest once, in order, revisions whole."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from podling.controlplane.store.key_values import Event
from podling.controlplane.store.machine.mvcc import Mvcc, in_range
from podling.controlplane.store.machine.watchers import Batch, Watcher, Watchers

KEYS = [b"a", b"b", b"c"]
STEPS = st.one_of(
    st.tuples(
        st.just("write"), st.lists(st.sampled_from(KEYS), min_size=1, max_size=3, unique=True)
    ),
    st.tuples(st.just("take"), st.integers(0, 2)),
)


def write(store: Mvcc, watchers: Watchers, keys: list[bytes]) -> None:
    for key in keys:
        store.put(key, b"x" * 300, 0)
    watchers.publish(store.commit())


def take_all(watchers: Watchers, watcher: Watcher) -> list[Batch]:
    batches = []
    while watchers.has_more(watcher):
        batch = watchers.take(watcher)
        assert batch is not None
        batches.append(batch)
    return batches


@settings(max_examples=200, deadline=None)
@given(st.lists(STEPS, max_size=40), st.integers(0, 12))
def test_every_watcher_is_told_everything_once_in_order(
    steps: list[tuple[str, object]], start: int
) -> None:
    store = Mvcc()
    watchers = Watchers(lambda: store, max_pending_bytes=1000)
    for _ in range(3):
        write(store, watchers, [b"a", b"b"])
    first = start or store.revision + 1
    watched = [(b"a", b""), (b"a", b"c"), (b"b", b"\0")]
    all_watchers = [
        watchers.add(key, end, start_revision=start, filters=frozenset(), on_ready=lambda: None)
        for key, end in watched
    ]
    told: list[list[Batch]] = [[] for _ in watched]
    for kind, argument in steps:
        if kind == "write" and isinstance(argument, list):
            write(store, watchers, argument)
        elif isinstance(argument, int) and (batch := watchers.take(all_watchers[argument])):
            told[argument].append(batch)
    for (key, end), watcher, batches in zip(watched, all_watchers, told, strict=True):
        batches += take_all(watchers, watcher)
        events = [event for batch in batches for event in batch.events]
        assert events == expected(store, key, end, first)
        for batch, following in itertools.pairwise(batches):
            assert all(event.kv.mod_revision <= batch.revision for event in batch.events)
            assert all(event.kv.mod_revision > batch.revision for event in following.events)
        assert not batches or batches[-1].revision == store.revision or watcher.synced


def expected(store: Mvcc, key: bytes, end: bytes, first: int) -> list[Event]:
    return [
        event
        for at in range(first, store.revision + 1)
        for event in store.events(at)
        if in_range(event.kv.key, key, end)
    ]


def test_a_reader_is_told_once_that_there_is_something() -> None:
    store = Mvcc()
    watchers = Watchers(lambda: store, max_pending_bytes=1000)
    calls: list[int] = []
    watcher = watchers.add(
        b"a", b"", start_revision=0, filters=frozenset(), on_ready=lambda: calls.append(1)
    )
    for _ in range(3):
        write(store, watchers, [b"a"])
    assert len(calls) == 1
    take_all(watchers, watcher)
    write(store, watchers, [b"b"])
    assert len(calls) == 1
    write(store, watchers, [b"a"])
    assert len(calls) == 2


def test_a_removed_watcher_is_told_nothing_more() -> None:
    store = Mvcc()
    watchers = Watchers(lambda: store, max_pending_bytes=1000)
    watcher = watchers.add(b"a", b"", start_revision=0, filters=frozenset(), on_ready=lambda: None)
    watchers.remove(watcher)
    watchers.remove(watcher)
    write(store, watchers, [b"a"])
    assert not watcher.pending
    assert len(watchers) == 0


def test_pending_memory_is_bounded() -> None:
    store = Mvcc()
    watchers = Watchers(lambda: store, max_pending_bytes=1000)
    watcher = watchers.add(b"a", b"", start_revision=0, filters=frozenset(), on_ready=lambda: None)
    for _ in range(100):
        write(store, watchers, [b"a"])
    assert len(watcher.pending) <= 3
