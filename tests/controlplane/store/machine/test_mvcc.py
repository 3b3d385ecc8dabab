"""The multi-version map against a model that keeps a whole copy of the state for each revision."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podling.controlplane.store import errors
from podling.controlplane.store.key_values import KeyValue
from podling.controlplane.store.machine import snapshots
from podling.controlplane.store.machine.leases import Leases
from podling.controlplane.store.machine.mvcc import Mvcc, in_range

KEYS = st.sampled_from([b"a", b"b", b"bb", b"c", b"d"])
ENDS = st.sampled_from([b"", b"\0", b"a", b"b", b"c", b"e"])
ACTIONS = st.one_of(
    st.tuples(st.just("put"), KEYS, st.binary(max_size=2)),
    st.tuples(st.just("delete"), KEYS, ENDS),
    st.tuples(st.just("both"), KEYS, KEYS),
    st.tuples(st.just("compact"), st.integers(1, 5)),
    st.tuples(st.just("sweep"), st.integers(1, 4)),
    st.tuples(st.just("reload")),
)


class Model:
    """Every state there ever was, by revision."""

    def __init__(self) -> None:
        self.states: dict[int, dict[bytes, KeyValue]] = {1: {}}
        self.revision = 1
        self.compacted = -1

    def change(self, change: Callable[[dict[bytes, KeyValue], int], None]) -> None:
        state = dict(self.states[self.revision])
        change(state, self.revision + 1)
        if state != self.states[self.revision]:
            self.revision += 1
            self.states[self.revision] = state

    def range(self, key: bytes, end: bytes, revision: int) -> list[KeyValue]:
        state = self.states[revision]
        return [state[each] for each in sorted(state) if in_range(each, key, end)]


def put(state: dict[bytes, KeyValue], at: int, key: bytes, value: bytes) -> None:
    old = state.get(key)
    state[key] = (
        KeyValue(key, value, old.create_revision, at, old.version + 1, 0)
        if old
        else KeyValue(key, value, at, at, 1, 0)
    )


def delete(state: dict[bytes, KeyValue], key: bytes, end: bytes) -> None:
    for each in [each for each in state if in_range(each, key, end)]:
        del state[each]


def put_and_delete(state: dict[bytes, KeyValue], at: int, one: bytes, other: bytes) -> None:
    put(state, at, one, b"x")
    delete(state, other, b"")


def reloaded(store: Mvcc) -> Mvcc:
    return snapshots.read(snapshots.write(store, Leases())).store


def act(store: Mvcc, model: Model, action: tuple[object, ...]) -> Mvcc:
    match action:
        case ("put", bytes(key), bytes(value)):
            store.put(key, value, 0)
            model.change(lambda state, at: put(state, at, key, value))
        case ("delete", bytes(key), bytes(end)):
            store.delete_range(key, end)
            model.change(lambda state, at: delete(state, key, end))
        case ("both", bytes(one), bytes(other)) if one != other:
            store.put(one, b"x", 0)
            store.delete(other)
            model.change(lambda state, at: put_and_delete(state, at, one, other))
        case ("compact", int(back)):
            target = max(model.revision - back, 1)
            if target > model.compacted:
                store.compact(target)
                model.compacted = target
        case ("sweep", int(limit)):
            store.sweep(limit)
        case ("reload",):
            return reloaded(store)
    store.commit()
    return store


@settings(max_examples=200, deadline=None)
@given(st.lists(ACTIONS, max_size=30), KEYS, ENDS, st.integers(0, 3))
def test_every_readable_revision_reads_as_the_model_does(
    actions: list[tuple[object, ...]], key: bytes, end: bytes, limit: int
) -> None:
    store, model = Mvcc(), Model()
    for action in actions:
        store = act(store, model, action)
    assert store.revision == model.revision
    for revision in range(max(model.compacted, 1), model.revision + 1):
        expected = model.range(key, end, revision)
        found = store.range(key, end, limit=limit, revision=revision)
        assert list(found.kvs) == (expected[:limit] if limit and end else expected)
        assert found.total == store.count(key, end, revision) == len(expected)
    for revision in range(1, model.compacted):
        with pytest.raises(errors.Compacted):
            store.range(key, end, revision=revision)


@settings(max_examples=100, deadline=None)
@given(st.lists(ACTIONS, max_size=30))
def test_history_is_the_difference_between_successive_states(
    actions: list[tuple[object, ...]],
) -> None:
    store, model = Mvcc(), Model()
    for action in actions:
        store = act(store, model, action)
    for revision in range(max(model.compacted, 1) + 1, model.revision + 1):
        before, after = model.states[revision - 1], model.states[revision]
        changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        events = {event.kv.key: event for event in store.events(revision)}
        assert events.keys() == changed
        for key, event in events.items():
            assert event.previous == before.get(key)
            assert event.deleted == (key not in after)
            assert event.deleted or event.kv == after[key]


@settings(max_examples=100, deadline=None)
@given(st.lists(ACTIONS, max_size=20))
def test_sweeping_everything_leaves_only_what_can_be_read(
    actions: list[tuple[object, ...]],
) -> None:
    store, model = Mvcc(), Model()
    for action in actions:
        store = act(store, model, action)
    store.compact(model.revision) if model.revision > model.compacted else None
    while store.sweep(3):
        pass
    live = model.states[model.revision]
    assert store.unswept == 0
    assert store.next_keys(None, 100) == sorted(live)
    assert store.size == reloaded(store).size


def test_a_pinned_store_is_not_swept() -> None:
    store = Mvcc()
    for value in (b"1", b"2"):
        store.put(b"a", value, 0)
        store.commit()
    store.compact(3)
    store.pin()
    assert store.sweep(10) == 0
    store.unpin()
    assert store.sweep(10) == 3


def test_a_replaced_store_is_taken_apart_in_slices_unless_pinned() -> None:
    store = Mvcc()
    for number in range(7):
        store.put(b"%d" % number, b"1", 0)
        store.commit()
    store.delete(b"3")
    store.commit()
    store.pin()
    assert store.take_apart(3) == 0
    assert store.get(b"6") is not None
    store.unpin()
    assert [store.take_apart(3) for _ in range(4)] == [6, 6, 3, 0]
    assert store.left == 0
    assert store.next_keys(None, 100) == []


def test_a_read_without_revision_sees_the_transaction_under_way() -> None:
    store = Mvcc()
    store.put(b"a", b"1", 0)
    assert store.read_revision == 2
    assert store.range(b"a", b"b").total == 1
    store.commit()
    assert store.revision == store.read_revision == 2
