"""Snapshots: drawn while writes go on, cut anywhere, and refused when damaged."""

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podling.controlplane.store import auth_requests as auth
from podling.controlplane.store.machine import hashing, snapshots
from podling.controlplane.store.machine.alarms import Alarms
from podling.controlplane.store.machine.auth.auth_store import AuthStore
from podling.controlplane.store.machine.leases import Leases
from podling.controlplane.store.machine.mvcc import Mvcc
from podling.controlplane.store.requests import Alarm, AlarmType


def filled(keys: int = 700) -> Mvcc:
    store = Mvcc()
    for number in range(keys):
        store.put(b"key-%04d" % number, b"value", 0)
        store.commit()
    for number in range(0, keys, 3):
        store.delete(b"key-%04d" % number)
        store.commit()
    return store


def digest(store: Mvcc, revision: int = 0) -> int:
    slices = hashing.hash_kv(store, revision)
    while True:
        try:
            next(slices)
        except StopIteration as end:
            return int(end.value)


def scribble(store: Mvcc) -> Iterator[None]:
    """Writes of every sort, one a step."""
    for number in itertools.count():
        store.put(b"key-%04d" % (number % 700), b"later", 0)
        store.put(b"new-%d" % number, b"later", 0)
        store.delete(b"key-%04d" % ((number * 7) % 700 + 1))
        store.commit()
        if number % 2:
            store.compact(store.revision)
            store.sweep(1000)
        yield


@pytest.mark.parametrize("compacted", [0, 500, 900])
def test_a_snapshot_is_of_the_moment_it_was_asked_for(compacted: int) -> None:
    store, untouched = filled(), filled()
    if compacted:
        store.compact(compacted)
        untouched.compact(compacted)
    writes = scribble(store)
    chunks = []
    for chunk in snapshots.write(store, Leases()):
        chunks.append(chunk)
        next(writes)
    restored = snapshots.read(chunks).store
    assert len(chunks) > 4
    assert restored.revision == untouched.revision
    assert restored.compact_revision == untouched.compact_revision
    assert digest(restored) == digest(untouched)
    assert list(restored.range(b"\0", b"\0").kvs) == list(untouched.range(b"\0", b"\0").kvs)


def test_a_hash_is_of_the_revision_asked_for_while_writes_go_on() -> None:
    store, untouched = filled(2000), filled(2000)
    writes = scribble(store)
    slices = hashing.hash_kv(store, 0)
    steps = 0
    while True:
        try:
            next(slices)
            next(writes)
            steps += 1
        except StopIteration as end:
            assert int(end.value) == digest(untouched)
            break
    assert steps >= 2


def test_an_abandoned_snapshot_lets_the_store_be_swept() -> None:
    store = filled(10)
    store.compact(5)
    chunks = snapshots.write(store, Leases())
    assert store.sweep(10) == 0
    del chunks
    assert store.sweep(10) == 5


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 200))
def test_chunks_may_be_cut_anywhere(size: int) -> None:
    store = filled(20)
    data = b"".join(snapshots.write(store, Leases()))
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert digest(snapshots.read(pieces).store) == digest(store)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_flipped_bit_or_missing_tail_is_refused(data: st.DataObject) -> None:
    whole = bytearray(b"".join(snapshots.write(filled(5), Leases())))
    at = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        whole[at] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del whole[at:]
    with pytest.raises(ValueError, match="snapshot"):
        snapshots.read([bytes(whole)])


def guarded() -> AuthStore:
    """Users and roles of every sort, and authentication enabled."""
    store = AuthStore()
    changes: list[auth.AuthChange] = [
        auth.UserAddRequest("root", b"hash of root"),
        auth.UserGrantRoleRequest("root", "root"),
        auth.UserAddRequest("änna", b"", no_password=True),
        auth.RoleAddRequest("r"),
        auth.RoleAddRequest("nothing"),
        auth.RoleGrantPermissionRequest("r", auth.PermissionType.WRITE, b"a", b"\0"),
        auth.RoleGrantPermissionRequest("r", auth.PermissionType.READ, b"k"),
        auth.UserGrantRoleRequest("änna", "r"),
        auth.AuthEnableRequest(),
    ]
    for change in changes:
        store.change(change)
    return store


def test_users_roles_and_alarms_are_in_it() -> None:
    before, alarms = guarded(), Alarms([Alarm(2**64 - 1, AlarmType.NOSPACE)])
    contents = snapshots.read(snapshots.write(filled(5), Leases(), 2, before, alarms))
    assert contents.auth.users == before.users
    assert contents.auth.roles == before.roles
    assert (contents.auth.enabled, contents.auth.revision) == (True, before.revision)
    assert contents.alarms.listed() == alarms.listed()


def test_what_needs_no_newer_format_is_written_in_the_old_one() -> None:
    """So that members which are not upgraded yet can still be restored."""
    assert b"".join(snapshots.write(filled(5), Leases(), 1, AuthStore(), Alarms()))[9] == 1
    assert b"".join(snapshots.write(filled(5), Leases(), 1, guarded()))[9] == 2
    old = snapshots.read(snapshots.write(filled(5), Leases()))
    assert old.auth.pristine
    assert not old.alarms


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_damage_to_users_and_roles_is_refused(data: st.DataObject) -> None:
    whole = bytearray(b"".join(snapshots.write(Mvcc(), Leases(), 2, guarded())))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(ValueError, match="snapshot"):
        snapshots.read([bytes(whole)])


def test_a_newer_format_is_refused_with_advice() -> None:
    whole = bytearray(b"".join(snapshots.write(filled(5), Leases())))
    whole[9] = snapshots.VERSION + 1
    with pytest.raises(snapshots.SnapshotError, match="upgrade this member"):
        snapshots.read([bytes(whole)])
