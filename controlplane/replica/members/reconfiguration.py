"""Which changes of membership could cost the quorum: etcd's strict reconfiguration check. Pure.

They look at who was ever started (a member that was added and never seen cannot vote) and at who is
connected to the member that is asked. Source: etcd, server/etcdserver (mayAddMember,
mayRemoveMember, mayPromoteMember) and membership/cluster.go (IsReadyToAddVotingMember, ...). etcd
wants members connected for five seconds; here it is enough that they are.
"""

from collections.abc import Iterable

from podling.controlplane.raft.quorum import majority
from podling.controlplane.replica.errors import NotEnoughStarted, UnhealthyCluster
from podling.controlplane.replica.members.membership import Member, Membership


def check_add(membership: Membership, added: Member, me: int, connected: frozenset[int]) -> None:
    """Before a member is added. Raises NotEnoughStarted or UnhealthyCluster."""
    voters = [membership.members[number] for number in membership.voters]
    started = sum(each.started for each in voters)
    # A single member may always get a second one: that is how a lost cluster is built up again.
    alone = len(voters) == 1 and started == 1
    if not added.learner and not alone and started < majority(len(voters) + 1):
        raise NotEnoughStarted(
            f"{started} of {len(voters)} voting members have been started: with one more, which is "
            "not started either, they could not agree on anything. Start those first"
        )
    away = membership.voters - connected - {me}
    if away:
        raise UnhealthyCluster(
            f"{_names(membership, away)} not connected: start or remove what is away before a "
            "member is added"
        )


def check_remove(membership: Membership, removed: int, me: int, connected: frozenset[int]) -> None:
    """Before a member is removed. Raises NotEnoughStarted or UnhealthyCluster."""
    if removed not in membership.voters:
        return
    left = [membership.members[number] for number in membership.voters - {removed}]
    started = sum(each.started for each in left)
    if started < majority(len(left)):
        raise NotEnoughStarted(
            f"without member {removed:x} there would be {len(left)} voting members, {started} of "
            "them started: they could not agree on anything"
        )
    active = membership.voters & (connected | {me})
    if removed in active and len(active) - 1 < majority(len(left)):
        raise UnhealthyCluster(
            f"without member {removed:x}, {len(active) - 1} of {len(left)} voting members would be "
            f"connected, no majority: {_names(membership, membership.voters - active)} away"
        )


def check_promote(membership: Membership, promoted: int) -> None:
    """Before a learner becomes a voter. Raises NotEnoughStarted."""
    voters = membership.voters - {promoted}
    started = 1 + sum(membership.members[number].started for number in voters)
    if started < majority(len(voters) + 1):
        raise NotEnoughStarted(
            f"with member {promoted:x}, {started} of {len(voters) + 1} voting members would be "
            "started, no majority. Start the others first"
        )


def _names(membership: Membership, numbers: Iterable[int]) -> str:
    shown = [membership.members[number].name or f"{number:x}" for number in sorted(numbers)]
    return ", ".join(shown) + (" are" if len(shown) > 1 else " is")
