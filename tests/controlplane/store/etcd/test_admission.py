"""What is refused before a handler is asked: too much at once, and what needs a leader."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from podling.controlplane.etcdpb import rpc_pb2
from podling.controlplane.store import errors
from podling.controlplane.store.etcd.admission import Admission
from podling.controlplane.store.etcd.caller import ANYBODY, Caller
from podling.controlplane.store.etcd.methods import methods_of
from podling.controlplane.store.store import Store
from tests.controlplane.store.etcd.direct import DirectClient, messages, watch
from tests.controlplane.store.members import QUICK, Members
from tests.waiting import until

LEADER_WANTED = Caller(requires_leader=True)


class Slow:
    """A service whose methods end when they are told."""

    def __init__(self) -> None:
        self.end = asyncio.Event()
        self.under_way = 0

    async def put(self, request: rpc_pb2.PutRequest, caller: Caller) -> str:
        self.under_way += 1
        await self.end.wait()
        return "done"

    async def watch(self, requests: AsyncIterator[object], caller: Caller) -> AsyncIterator[str]:
        yield "begun"
        await self.end.wait()


async def test_calls_are_bounded_and_make_room_when_they_end(member: Store) -> None:
    slow = Slow()
    (put,) = methods_of(rpc_pb2.DESCRIPTOR.services_by_name["KV"], slow).values()
    handler = Admission(member.members, max_calls=2).admitted(put).handler
    async with asyncio.TaskGroup() as tasks:
        calls = [tasks.create_task(handler(None, ANYBODY)) for _ in range(2)]
        await until(lambda: slow.under_way == 2, "both are under way")
        with pytest.raises(errors.TooManyRequests, match="etcdserver: too many requests"):
            await handler(None, ANYBODY)
        calls[0].cancel()
        slow.end.set()
    assert await handler(None, ANYBODY) == "done"


async def test_streams_are_bounded_and_make_room_when_they_end(member: Store) -> None:
    (stream,) = methods_of(rpc_pb2.DESCRIPTOR.services_by_name["Watch"], Slow()).values()
    handler = Admission(member.members, max_streams=1).admitted(stream).handler
    async with aclosing(handler(messages([]), ANYBODY)) as first:
        assert await anext(first) == "begun"
        with pytest.raises(errors.TooManyRequests):
            await anext(handler(messages([]), ANYBODY))
    async with aclosing(handler(messages([]), ANYBODY)) as second:
        assert await anext(second) == "begun"


async def test_who_requires_a_leader_is_told_at_once_that_there_is_none(members: Members) -> None:
    first, *others = await members.start(3, election_timeout=QUICK)
    client = DirectClient(first.store)
    read = rpc_pb2.RangeRequest(key=b"a", serializable=True)
    await client.call("KV/Range", read, LEADER_WANTED)
    for each in others:
        await members.stop(each)
    await until(lambda: not first.store.members.leader, "it knows that nobody leads")
    with pytest.raises(errors.NoLeader, match="etcdserver: no leader"):
        await client.call("KV/Range", read, LEADER_WANTED)
    with pytest.raises(errors.NoLeader):
        await anext(client.stream("Watch/Watch", messages([watch(key=b"a")]), LEADER_WANTED))
    await client.call("KV/Range", read)
