"""Which member a process is: by its data directory, or by what it is told."""

from pathlib import Path
from typing import Any

import pytest

from podling.controlplane.wal import data_dir
from podling.controlplane.wal.disk import OsDisk
from podling.controlplane.wal.segments import Identity
from podling.launcher.store import store_identity
from podling.launcher.store.store_flags import StoreFlags
from podling.launcher.store.store_identity import NotAMember, StrangeDirectory
from podling.launcher.store.store_settings import StoreSettings, settings
from tests.ports import free_ports


def told(folder: Path, **flags: Any) -> StoreSettings:
    return settings(StoreFlags(data_dir=str(folder / "data"), **flags), ())


async def test_a_new_member_has_the_ids_that_etcd_gives_it(tmp_path: Path) -> None:
    config = await store_identity.replica_config(told(tmp_path), OsDisk(), None)
    assert (config.member_id, config.cluster_id) == (0x8E9E05C52164694D, 0xCDF818194E3A8C32)
    assert [member.name for member in config.members.values()] == ["default"]


async def test_what_clients_may_send_can_be_replicated(tmp_path: Path) -> None:
    flags = told(tmp_path, max_request_bytes=20_000_000)
    config = await store_identity.replica_config(flags, OsDisk(), None)
    assert config.max_proposal_bytes > 20_000_000


async def test_a_directory_that_was_used_says_who_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    data_dir.write_identity(OsDisk(), folder, Identity(0xC1, 0xA1))
    config = await store_identity.replica_config(told(tmp_path), OsDisk(), None)
    assert (config.member_id, config.cluster_id) == (0xA1, 0xC1)
    assert config.members[0xA1].peer_urls == ("http://localhost:2380",)


async def test_a_directory_of_another_member_of_the_same_cluster(tmp_path: Path) -> None:
    """As in etcd: it is that member, at another place and under another name."""
    members = "a=http://127.0.0.1:1,default=http://localhost:2380"
    flags = told(tmp_path, initial_cluster=members)
    new = await store_identity.replica_config(flags, OsDisk(), None)
    (other,) = new.members.keys() - {new.member_id}
    flags.data_dir.mkdir()
    data_dir.write_identity(OsDisk(), flags.data_dir, Identity(new.cluster_id, other))
    config = await store_identity.replica_config(flags, OsDisk(), None)
    assert config.member_id == other
    assert config.members[other].name == "default"


async def test_a_directory_of_etcd_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data" / "member").mkdir(parents=True)
    with pytest.raises(StrangeDirectory, match="data directory of etcd"):
        await store_identity.replica_config(told(tmp_path), OsDisk(), None)


async def test_what_is_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(StrangeDirectory, match=r"--data-dir .*data is not a directory"):
        await store_identity.replica_config(told(tmp_path), OsDisk(), None)


async def test_a_directory_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    flags = settings(StoreFlags(data_dir=str(tmp_path / ("x" * 300))), ())
    with pytest.raises(StrangeDirectory, match=r"--data-dir .*xxx cannot be used: File name too"):
        await store_identity.replica_config(flags, OsDisk(), None)


@pytest.mark.parametrize(("mode", "warned"), [(0o700, False), (0o710, True), (0o704, True)])
async def test_a_directory_that_is_open_to_others_is_warned_of(
    tmp_path: Path, mode: int, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    flags = told(tmp_path)
    flags.data_dir.mkdir()
    flags.data_dir.chmod(mode)
    await store_identity.replica_config(flags, OsDisk(), None)
    assert ("recommended permission is drwx------" in caplog.text) is warned


async def test_who_joins_must_find_somebody(tmp_path: Path) -> None:
    [nobody] = free_ports(1)
    joining = told(
        tmp_path,
        initial_cluster=f"default=http://localhost:2380,other=http://127.0.0.1:{nobody}",
        initial_cluster_state="existing",
    )
    with pytest.raises(NotAMember, match="no member of the cluster has answered"):
        await store_identity.replica_config(joining, OsDisk(), None, join_seconds=0.1)
