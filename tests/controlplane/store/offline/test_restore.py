import hashlib
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from podling.controlplane.raft.storage import StoredState
from podling.controlplane.replica.members import membership
from podling.controlplane.replica.members.bootstrap import cluster_id_of, member_id_of
from podling.controlplane.store.errors import Compacted
from podling.controlplane.store.machine import commands
from podling.controlplane.store.machine.state_machine import StoreStateMachine
from podling.controlplane.store.offline.errors import OfflineError
from podling.controlplane.store.offline.restore import Restored, RestoreRequest, restore
from podling.controlplane.store.requests import Alarm, AlarmAction, AlarmRequest, AlarmType
from podling.controlplane.wal import snapshot_file
from podling.controlplane.wal.data_dir import DataDir
from podling.controlplane.wal.disk import OsDisk
from tests.controlplane.store.offline.directories import machine, put

DISK = OsDisk()
CLUSTER = {"m1": ["http://10.0.0.1:2380"], "m2": ["http://10.0.0.2:2380"]}


def saved(path: Path, store: StoreStateMachine) -> Path:
    data = b"".join(store.snapshot())
    path.write_bytes(data + hashlib.sha256(data).digest())
    return path


@pytest.fixture
def request_(tmp_path: Path) -> RestoreRequest:
    store = machine()
    for index, key in enumerate((b"a", b"b", b"a"), start=1):
        store.apply(index, 1, put(key, key * 9))
    file = saved(tmp_path / "saved", store)
    return RestoreRequest(file, tmp_path / "m1", "m1", CLUSTER, "token", CLUSTER["m1"])


def started(path: Path, restored: Restored) -> tuple[StoredState, StoreStateMachine]:
    """What a member finds in the directory."""
    data_dir = DataDir.open(DISK, path, restored.identity)
    recovered = data_dir.recover(StoredState())
    store = machine()
    assert recovered.snapshot_path is not None
    store.take(store.load(snapshot_file.read_state(DISK, recovered.snapshot_path, None)))
    data_dir.close()
    return recovered.stored, store


def test_each_member_begins_with_the_state_and_the_same_cluster(request_: RestoreRequest) -> None:
    second = replace(
        request_, name="m2", data_dir=request_.data_dir.with_name("m2"), peer_urls=CLUSTER["m2"]
    )
    made = [restore(DISK, each) for each in (request_, second)]
    ids = [member_id_of(urls, "token") for urls in CLUSTER.values()]

    assert [each.identity.member_id for each in made] == ids
    assert {each.identity.cluster_id for each in made} == {cluster_id_of(ids)}
    stored, store = started(request_.data_dir, made[0])
    other, _ = started(second.data_dir, made[1])
    assert stored == other
    assert stored.snapshot.configuration.voters == set(ids)
    members = membership.decode(stored.snapshot.configuration.context).members
    assert [each.name for each in members.values()] == [
        name for _, name in sorted(zip(ids, CLUSTER, strict=True))
    ]
    assert stored.entries == ()
    assert store.store.revision == made[0].revision == 4
    assert made[0].keys == 2
    assert [(kv.key, kv.value) for kv in store.store.range(b"a").kvs] == [(b"a", b"a" * 9)]


def test_another_token_makes_another_cluster(request_: RestoreRequest) -> None:
    first = restore(DISK, request_)
    other = request_.data_dir.with_name("other")
    second = restore(DISK, replace(request_, token="another", data_dir=other))

    assert first.identity.cluster_id != second.identity.cluster_id
    assert first.identity.member_id != second.identity.member_id


def test_files_are_for_their_owner_only(request_: RestoreRequest) -> None:
    restore(DISK, request_)

    paths = [request_.data_dir, *request_.data_dir.rglob("*")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o700, 0o600}
    assert sorted(path.name for path in request_.data_dir.parent.iterdir()) == ["m1", "saved"]


def test_revisions_can_be_moved_on_so_that_clients_begin_anew(request_: RestoreRequest) -> None:
    made = restore(DISK, replace(request_, bump_revision=1_000_000_000, mark_compacted=True))
    _, store = started(request_.data_dir, made)

    assert store.store.revision == made.revision == 1_000_000_004
    assert store.store.compact_revision == 1_000_000_004
    with pytest.raises(Compacted):
        store.store.range(b"a", revision=4)
    assert store.store.range(b"a").kvs[0].mod_revision == 4
    store.apply(2, 1, put(b"c"))
    assert store.store.revision == 1_000_000_005


def test_alarms_of_the_former_members_are_left_behind(
    tmp_path: Path, request_: RestoreRequest
) -> None:
    store = machine()
    store.alarms.change(AlarmRequest(AlarmAction.ACTIVATE, 7, AlarmType.NOSPACE))
    assert store.alarms.listed() == [Alarm(7, AlarmType.NOSPACE)]
    made = restore(DISK, replace(request_, snapshot=saved(tmp_path / "full", store)))

    assert started(request_.data_dir, made)[1].alarms.listed() == []


def test_what_a_killed_restore_left_is_no_hindrance(request_: RestoreRequest) -> None:
    part = request_.data_dir.with_name("m1.part")
    restore(DISK, replace(request_, data_dir=part, token="another"))
    (part / "wal" / "junk").write_text("junk")
    made = restore(DISK, request_)

    assert started(request_.data_dir, made)[1].store.revision == 4
    assert not part.exists()
    assert not (request_.data_dir / "wal" / "junk").exists()


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "not in the cluster": ({"name": "m3"}, "lists m1, m2, but not 'm3'"),
    "other peer URLs": ({"peer_urls": ["http://10.0.0.3:2380"]}, "they must be equal"),
    "bump alone": ({"bump_revision": 5}, "must be given together"),
    "mark alone": ({"mark_compacted": True}, "must be given together"),
    "bump back": ({"bump_revision": -5, "mark_compacted": True}, "must be a positive number"),
    "bump too far": ({"bump_revision": 1 << 62, "mark_compacted": True}, "positive number"),
}


@pytest.mark.parametrize(("change", "text"), WRONG.values(), ids=WRONG.keys())
def test_bad_input_makes_nothing(
    request_: RestoreRequest, change: dict[str, Any], text: str
) -> None:
    with pytest.raises(OfflineError, match=text):
        restore(DISK, replace(request_, **change))

    assert not request_.data_dir.exists()


def test_a_directory_with_anything_in_it_is_refused(request_: RestoreRequest) -> None:
    request_.data_dir.mkdir()
    (request_.data_dir / "file").write_text("mine")
    with pytest.raises(OfflineError, match="is not empty"):
        restore(DISK, request_)
    assert [path.name for path in request_.data_dir.iterdir()] == ["file"]

    (request_.data_dir / "file").unlink()
    assert restore(DISK, request_).keys == 2


def test_a_damaged_file_makes_nothing(request_: RestoreRequest) -> None:
    request_.snapshot.write_bytes(request_.snapshot.read_bytes()[:-1])

    with pytest.raises(OfflineError, match="is damaged"):
        restore(DISK, request_)
    assert not request_.data_dir.exists()


def test_a_cluster_that_went_over_to_newer_commands_makes_nothing(
    tmp_path: Path, request_: RestoreRequest
) -> None:
    store = machine()
    store.cluster_version = commands.VERSION + 1
    file = saved(tmp_path / "newer", store)

    with pytest.raises(OfflineError, match=r"cannot be read: .* upgrade this member"):
        restore(DISK, replace(request_, snapshot=file))
    assert not request_.data_dir.exists()
