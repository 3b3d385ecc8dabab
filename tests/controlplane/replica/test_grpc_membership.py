"""Members come and go over gRPC with mutual TLS, known by their hosts as etcd's are."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from podling.controlplane.replica.errors import CannotJoin, MemberRemoved
from podling.controlplane.replica.members.membership import Member
from podling.controlplane.replica.peers.joining import find_cluster
from tests.controlplane.replica.contract_transport import Recorder
from tests.controlplane.replica.group import PATIENCE, Group
from tests.controlplane.replica.linked_peers import Peers
from tests.ports import free_ports
from tests.waiting import until


@pytest.fixture
def peers(tmp_path: Path) -> Peers:
    return Peers.create(tmp_path / "certificates", by_host=True)


@pytest.fixture
async def group(tmp_path: Path, peers: Peers) -> AsyncIterator[Group]:
    ports = free_ports(9)
    # A removed member ends when an election has had its time.
    settings = {"heartbeat_interval": 0.05, "election_timeout": 0.5}
    small_log = {"snapshot_count": 20, "catch_up_entries": 5}
    group = Group(tmp_path, peers.transport, peers.members, {**settings, **small_log})
    group.url = lambda number: f"https://127.0.0.1:{ports[number]}"
    await group.start()
    await group.leader()
    await group.connected()
    yield group
    await group.stop()


async def removed(group: Group, number: int) -> None:
    """Wait until the member has ended because it was removed."""
    await until(lambda: group.failures, f"{number} has ended", group.describe)
    ((name, error),) = group.failures
    assert name == f"replica-{number}"
    assert isinstance(error, MemberRemoved)
    group.failures.clear()
    await group.replicas.pop(number).stop()


async def test_a_member_that_was_added_finds_the_cluster_and_gets_a_snapshot(
    group: Group, peers: Peers
) -> None:
    for number in range(60):
        await group.replicas[1].propose(b"%d" % number)
    await group.compacted(20)
    await group.replicas[2].add_member(0xABC, Member("", (group.url(4),)))
    urls = [url for member in peers.members.values() for url in member.peer_urls]
    found = await find_cluster(urls, [group.url(4)], peers.issue("newcomer"), timeout=PATIENCE)

    assert (found.cluster_id, found.member_id) == (0xC1, 0xABC)
    group.joining[found.member_id] = found.membership.members
    await group.start(found.member_id)
    assert len(await group.equal()) == 60
    assert group.ledgers[found.member_id].restored >= 1
    await group.replicas[found.member_id].publish("newcomer", ("https://clients",))
    await until(
        lambda: all(
            each.membership.members[0xABC].name == "newcomer" for each in group.replicas.values()
        ),
        "all know its name",
    )


async def test_who_was_not_added_does_not_find_itself(group: Group, peers: Peers) -> None:
    with pytest.raises(CannotJoin, match=r"no member with the peer URLs https://127.0.0.1:1: add"):
        await find_cluster(
            peers.members[1].peer_urls, ["https://127.0.0.1:1"], peers.issue("x"), timeout=0
        )
    await group.stop()
    with pytest.raises(CannotJoin, match="no member of the cluster has answered"):
        await find_cluster(peers.members[1].peer_urls, [], peers.issue("x"), timeout=0)


async def test_a_removed_member_is_told_at_once_and_again_when_it_comes_back(group: Group) -> None:
    gone = await group.leader_id() % 3 + 1
    await (await group.leader()).remove_member(gone)
    await removed(group, gone)
    await (await group.leader()).propose(b"after")
    try:
        await group.start(gone)
    except MemberRemoved:
        return  # its disk says so, too
    await removed(group, gone)


async def test_a_leader_that_removes_itself_ends_and_the_others_go_on(group: Group) -> None:
    leader = await group.leader_id()
    await group.replicas[leader].propose(b"before")
    await group.replicas[leader].remove_member(leader)
    await removed(group, leader)
    await (await group.leader()).propose(b"after")

    assert await group.equal() == [b"before", b"after"]


async def test_a_member_finds_those_who_came_while_it_was_away(group: Group) -> None:
    group.settings["strict_reconfiguration"] = False
    await group.stop()
    await group.start()
    away = await group.leader_id() % 3 + 1
    await group.stop(away)
    for come, go in zip((4, 5), {1, 2, 3} - {away}, strict=True):
        await group.join(come, learner=True)
        await group.promote(come)
        await (await group.leader()).remove_member(go)
        await removed(group, go)
    await group.start(away)

    await group.equal()
    assert list(group.replicas[away].membership.members) == sorted([away, 4, 5])
    await group.replicas[away].propose(b"found")


async def test_a_member_that_moves_is_reached_where_it_is_now(group: Group, peers: Peers) -> None:
    moved = await group.leader_id() % 3 + 1
    await group.stop(moved)
    membership = await (await group.leader()).update_member(moved, (group.url(6),))
    group.joining[moved] = membership.members
    await group.start(moved)
    await group.replicas[moved].propose(b"from there")

    assert await group.equal() == [b"from there"]


async def test_a_stranger_is_refused(
    group: Group, peers: Peers, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    stranger = {**peers.members, 9: Member("replica-9", (group.url(8),))}
    transport = peers.transport(
        replace(group.config(1), member_id=9, name="replica-9", join=True, members=stranger)
    )
    recorder = Recorder()
    await transport.start(recorder)
    try:
        await until(lambda: "member 9 is not a peer in this cluster" in caplog.text, "refused")
    finally:
        await transport.stop()

    assert recorder.reached == []


async def test_only_callers_with_an_allowed_name_are_let_in(
    peers: Peers, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    allowed = replace(peers.issue("replica-1"), allowed_names=frozenset({"replica-1", "friend"}))
    one = peers.make(1, allowed)
    two = peers.make(2, peers.issue("replica-2"))
    friend = peers.make(3, peers.issue("friend"))
    recorder = Recorder()
    for transport in (one, two, friend):
        await transport.start(recorder if transport is one else Recorder())
    try:
        await until(lambda: recorder.reached, "somebody is let in")
        await until(
            lambda: "certificate is for replica-2, not for friend, replica-1" in caplog.text,
            "the other is refused",
        )
    finally:
        for transport in (one, two, friend):
            await transport.stop()

    assert recorder.reached == [3]
