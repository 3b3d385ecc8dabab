"""What a replica begins with: what is on its disk or, at a first start, what it is told."""

from podling.controlplane.raft.messages import SnapshotMeta
from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.raft.storage import StoredState
from podling.controlplane.replica.config import ReplicaConfig
from podling.controlplane.replica.members.membership import Membership, configuration_of
from podling.controlplane.replica.state_machine import StateMachine
from podling.controlplane.wal import snapshot_file
from podling.controlplane.wal.data_dir import DataDir, Recovered
from podling.controlplane.wal.errors import DataDirectoryError
from podling.controlplane.wal.snapshot_file import SnapshotPart


def recover(config: ReplicaConfig, state_machine: StateMachine, data_dir: DataDir) -> Recovered:
    """Read the directory back, and the state machine's state with it.

    A first start writes down who the members are, as a snapshot of no state at entry 0: from then
    on that and the log say so, whatever the configuration lists. Raises DataDirectoryError.
    """
    new = is_new(data_dir)
    first = first_configuration(config, new=new)
    recovered = data_dir.recover(StoredState(SnapshotMeta(configuration=first)))
    _check_members(config, recovered, data_dir)
    if recovered.snapshot_path is None and new:
        save_members(data_dir, first)
    elif recovered.snapshot_path is not None and recovered.stored.snapshot.index > 0:
        disk, cluster_id = data_dir.disk, config.cluster_id
        state = snapshot_file.read_state(disk, recovered.snapshot_path, cluster_id)
        state_machine.take(state_machine.load(state))
    return recovered


def is_new(data_dir: DataDir) -> bool:
    """Whether nothing was ever written here."""
    disk = data_dir.disk
    return not disk.list_files(data_dir.log_path) and not snapshot_file.names(
        disk, data_dir.snapshots_path
    )


def first_configuration(config: ReplicaConfig, *, new: bool) -> Configuration:
    """The members before the first entry of the log."""
    if config.join:
        return Configuration()
    if new:
        return configuration_of(Membership(config.members))
    # Begun by a program that did not write them down: all it knew was the voters.
    return Configuration(frozenset(config.members))


def save_members(data_dir: DataDir, first: Configuration) -> None:
    """Write who the members are when the cluster begins."""
    snapshot = SnapshotMeta(configuration=first)
    part = SnapshotPart(data_dir.disk, data_dir.snapshots_path, snapshot)
    cluster_id = data_dir.identity.cluster_id
    for data in snapshot_file.encode(cluster_id, snapshot, ()):
        part.write(data)
    part.finish(cluster_id)


def _check_members(config: ReplicaConfig, recovered: Recovered, data_dir: DataDir) -> None:
    """What is stored counts, but may lack addresses if no change of members was ever made."""
    stored = recovered.stored.snapshot.configuration
    unknown = stored.members - config.members.keys()
    if unknown and not stored.context:
        raise DataDirectoryError(
            f"data directory {data_dir.path} was written in a cluster of members "
            f"{_hex_list(stored.members)}, and the configuration does not list "
            f"{_hex_list(unknown)}: correct the list of members"
        )


def _hex_list(members: frozenset[int]) -> str:
    return ", ".join(f"{member:x}" for member in sorted(members))
