"""The cluster service: members listed, added, learning, promoted, moved and removed."""

from typing import Any

import pytest

from podling.controlplane.etcdpb import rpc_pb2
from podling.controlplane.store import errors
from podling.controlplane.store import requests as rq
from podling.controlplane.store.etcd.publication import Publication
from podling.controlplane.store.store import Store
from tests.controlplane.store.etcd.direct import DirectClient, messages, watch
from tests.controlplane.store.members import Members
from tests.ports import free_ports
from tests.waiting import until


@pytest.fixture
def client(member: Store) -> DirectClient:
    return DirectClient(member)


async def call(client: DirectClient, method: str, **fields: Any) -> Any:
    request = getattr(rpc_pb2, f"Member{method}Request")(**fields)
    return await client.call(f"Cluster/Member{method}", request)


def a_url() -> str:
    (port,) = free_ports(1)
    return f"http://127.0.0.1:{port}"


def caught_up(leader: Store, member_id: int) -> bool:
    """Whether the leader knows that the member has all of its log."""
    replica = leader.status().replica
    return replica.peers[member_id].match_index == replica.last_index


async def test_members_are_listed_as_they_are(client: DirectClient, member: Store) -> None:
    publication = Publication(member.members, "replica-1", ["http://a:1"], fatal=pytest.fail)
    await publication.start()
    await until(lambda: member.members.now.members[1].client_urls, "the member told of itself")
    await publication.stop()
    (listed,) = (await call(client, "List", linearizable=True)).members
    peer_urls = member.members.now.members[1].peer_urls
    assert listed == rpc_pb2.Member(
        ID=1, name="replica-1", peerURLs=peer_urls, clientURLs=["http://a:1"]
    )


async def test_a_member_says_that_the_others_look_for_it_elsewhere(
    member: Store, caplog: pytest.LogCaptureFixture
) -> None:
    def said() -> list[str]:
        texts = [each.getMessage() for each in caplog.records]
        return [text for text in texts if "the other members look for" in text]

    (listed,) = member.members.now.members[1].peer_urls
    where_it_is = Publication(member.members, "replica-1", ["http://a:1"], pytest.fail, [listed])
    await where_it_is.start()
    await until(lambda: member.members.now.members[1].client_urls, "the member told of itself")
    await where_it_is.stop()
    assert not said()

    moved = Publication(member.members, "replica-1", ["http://a:1"], pytest.fail, ["http://a:2"])
    await moved.start()
    await until(said, "a warning")
    await moved.stop()
    (warning,) = said()
    assert listed in warning
    assert warning.endswith("etcdctl member update 1 --peer-urls=http://a:2")


async def test_a_member_is_added_and_has_no_name_until_it_starts(client: DirectClient) -> None:
    url = a_url()
    added = await call(client, "Add", peerURLs=[url], isLearner=True)
    assert added.member == rpc_pb2.Member(ID=added.member.ID, peerURLs=[url], isLearner=True)
    assert added.member in added.members
    assert added.members == (await call(client, "List")).members
    assert added.header.revision == 1


async def test_a_learner_follows_serves_what_it_knows_and_is_promoted(members: Members) -> None:
    (first,) = await members.start(1)
    client, url = DirectClient(first.store), a_url()
    await first.store.put(rq.PutRequest(b"a", b"1"))
    added = await call(client, "Add", peerURLs=[url], isLearner=True)
    with pytest.raises(errors.TooManyLearners):
        await call(client, "Add", peerURLs=[a_url()], isLearner=True)
    with pytest.raises(errors.LearnerNotReady):
        await call(client, "Promote", ID=added.member.ID)
    joined = await members.join("late", url)
    learner = DirectClient(joined.store)
    await until(lambda: joined.store.revision == 2, "the learner has what was written")
    serializable = rpc_pb2.RangeRequest(key=b"a", serializable=True)
    assert (await learner.call("KV/Range", serializable)).kvs[0].value == b"1"
    assert (await learner.call("Maintenance/Status", rpc_pb2.StatusRequest())).isLearner
    snapshot = learner.stream("Maintenance/Snapshot", rpc_pb2.SnapshotRequest())
    assert [each async for each in snapshot]
    for path, request in (
        ("KV/Range", rpc_pb2.RangeRequest(key=b"a")),
        ("KV/Put", rpc_pb2.PutRequest(key=b"a")),
        ("Lease/LeaseGrant", rpc_pb2.LeaseGrantRequest(TTL=5)),
        ("Cluster/MemberList", rpc_pb2.MemberListRequest()),
    ):
        with pytest.raises(errors.NotForLearners, match="rpc not supported for learner"):
            await learner.call(path, request)
    with pytest.raises(errors.NotForLearners):
        await joined.store.put(rq.PutRequest(b"a"))
    with pytest.raises(errors.NotForLearners):
        await anext(learner.stream("Watch/Watch", messages([watch(key=b"a")])))
    with pytest.raises(errors.BadLeaderTransferee):
        target = rpc_pb2.MoveLeaderRequest(targetID=added.member.ID)
        await client.call("Maintenance/MoveLeader", target)
    await until(lambda: caught_up(first.store, added.member.ID), "the leader knows what it has")
    promoted = await call(client, "Promote", ID=added.member.ID)
    assert {each.isLearner for each in promoted.members} == {False}
    await until(lambda: not joined.store.members.is_learner, "it knows that it votes")
    await learner.call("KV/Put", rpc_pb2.PutRequest(key=b"a", value=b"2"))
    with pytest.raises(errors.MemberNotLearner, match=r"can only promote a learner member$"):
        await call(client, "Promote", ID=added.member.ID)
    removed = await call(client, "Remove", ID=added.member.ID)
    assert [each.ID for each in removed.members] == [1]
    await members.removed(joined)
    with pytest.raises(errors.MemberNotFound):
        await call(client, "Remove", ID=added.member.ID)


async def test_what_cannot_be_is_refused(client: DirectClient, member: Store) -> None:
    before = member.members.now
    (taken,) = before.members[1].peer_urls
    with pytest.raises(errors.PeerUrlExists, match="Peer URLs already exists"):
        await call(client, "Add", peerURLs=[taken])
    for method in ("Remove", "Promote"):
        with pytest.raises(errors.MemberNotFound, match="etcdserver: member not found"):
            await call(client, method, ID=4711)
    with pytest.raises(errors.MemberNotFound):
        await call(client, "Update", ID=4711, peerURLs=[a_url()])
    assert member.members.now == before


@pytest.mark.parametrize(
    "urls",
    [
        [],
        [""],
        ["127.0.0.1:2380"],
        ["ftp://127.0.0.1:2380"],
        ["http://127.0.0.1"],
        ["http://127.0.0.1:port"],
        ["http://127.0.0.1:99999"],
        ["http://:2380"],
        ["http://127.0.0.1:2380/path"],
        ["http://127.0.0.1:2380", "nonsense"],
        ["http://[::1:2380"],
    ],
)
async def test_member_urls_are_checked(
    client: DirectClient, member: Store, urls: list[str]
) -> None:
    before = member.members.now
    with pytest.raises(errors.BadMemberUrls, match="given member URLs are invalid"):
        await call(client, "Add", peerURLs=urls)
    with pytest.raises(errors.BadMemberUrls):
        await call(client, "Update", ID=1, peerURLs=urls)
    assert member.members.now == before


async def test_members_that_were_never_started_are_not_piled_up(members: Members) -> None:
    (first, *_) = await members.start(3)
    client = DirectClient(first.store)
    await until(
        lambda: len(first.store.status().replica.connected) == 2, "the members are connected"
    )
    await call(client, "Add", peerURLs=[a_url()])
    before = first.store.members.now
    with pytest.raises((errors.UnhealthyCluster, errors.NotEnoughStarted)):
        await call(client, "Add", peerURLs=[a_url()])
    assert first.store.members.now == before


async def test_with_a_member_away_only_that_one_is_removed(members: Members) -> None:
    first, second, third = await members.start(3)
    client = DirectClient(first.store)
    connected = first.store.status
    await until(lambda: len(connected().replica.connected) == 2, "the members are connected")
    gone, here = (each.replica.member_id for each in (third, second))
    await members.stop(third)
    await until(lambda: len(connected().replica.connected) == 1, "it is seen to be away")
    before = first.store.members.now
    with pytest.raises(errors.UnhealthyCluster, match="etcdserver: unhealthy cluster"):
        await call(client, "Add", peerURLs=[a_url()])
    with pytest.raises(errors.UnhealthyCluster):
        await call(client, "Remove", ID=here)
    assert first.store.members.now == before
    left = await call(client, "Remove", ID=gone)
    assert {each.ID for each in left.members} == {first.replica.member_id, here}


async def test_the_only_member_is_not_removed(client: DirectClient, member: Store) -> None:
    before = member.members.now
    with pytest.raises((errors.NotEnoughStarted, errors.UnhealthyCluster)):
        await call(client, "Remove", ID=1)
    assert member.members.now == before
    await member.put(rq.PutRequest(b"a"))


async def test_a_member_moves(members: Members) -> None:
    servers = await members.start(3)
    client, url = DirectClient(servers[0].store), a_url()
    await members.leader()
    moved = await call(client, "Update", ID=3, peerURLs=[url])
    assert [list(each.peerURLs) for each in moved.members if each.ID == 3] == [[url]]
