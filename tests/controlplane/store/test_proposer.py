"""What is bounded on the way to the replicas, and what a request that is refused there leaves."""

import asyncio

import pytest

from podling.controlplane.store import errors, proposer
from podling.controlplane.store import requests as rq
from podling.controlplane.store.config import StoreConfig
from podling.controlplane.store.store import Store
from tests.controlplane.store.members import Members

READ = rq.RangeRequest(b"a")


async def test_a_member_that_cannot_keep_up_takes_no_more_writes(
    member: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await member.put(rq.PutRequest(b"a", b"1"))
    monkeypatch.setattr(proposer, "MAX_UNAPPLIED", -1)
    with pytest.raises(errors.TooManyRequests):
        await member.put(rq.PutRequest(b"a", b"2"))
    monkeypatch.undo()
    (kv,) = (await member.range(READ)).kvs
    assert kv.value == b"1"


async def test_reads_that_wait_for_a_leader_are_bounded(
    members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers = await members.start(3, StoreConfig(request_timeout=0.3))
    for server in servers[1:]:
        await members.stop(server)
    monkeypatch.setattr(proposer, "MAX_READS", 2)
    store = servers[0].store
    outcomes = await asyncio.gather(*(store.range(READ) for _ in range(4)), return_exceptions=True)
    refused = [type(each) for each in outcomes]
    assert refused.count(errors.TooManyRequests) == 2
    assert set(refused) == {errors.TooManyRequests, errors.NoLeader}
    # Those that gave up have made room, and who asks for no certainty is answered.
    with pytest.raises(errors.NoLeader):
        await store.range(READ)
    await store.range(READ._replace(serializable=True))


async def test_a_request_over_the_size_limit_is_refused_whatever_it_is(members: Members) -> None:
    (server,) = await members.start(1, StoreConfig(max_request_bytes=1000))
    store = server.store
    large = rq.PutRequest(b"a", b"x" * 1000)
    for refused in (
        store.put(large),
        store.txn(rq.TxnRequest((), (large,))),
        store.txn(rq.TxnRequest((), (), (large,))),
        store.delete_range(rq.DeleteRangeRequest(b"x" * 1000)),
    ):
        with pytest.raises(errors.RequestTooLarge):
            await refused
    assert store.revision == 1
    await store.put(rq.PutRequest(b"a", b"x" * 900))
