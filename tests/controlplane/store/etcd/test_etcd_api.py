"""The handlers, called without the gRPC library: decoded message in, message out."""

from contextlib import aclosing

import pytest

from podling.controlplane.etcdpb import rpc_pb2
from podling.controlplane.store import errors
from podling.controlplane.store.store import Store
from tests.controlplane.store.etcd.direct import DirectClient, messages, watch


@pytest.fixture
def client(member: Store) -> DirectClient:
    return DirectClient(member)


async def test_a_message_in_a_message_out(client: DirectClient) -> None:
    put = await client.call("KV/Put", rpc_pb2.PutRequest(key=b"a", value=b"1"))
    assert put.header.revision == 2
    found = await client.call("KV/Range", rpc_pb2.RangeRequest(key=b"a"))
    assert [kv.value for kv in found.kvs] == [b"1"]


async def test_a_refusal_is_raised(client: DirectClient) -> None:
    with pytest.raises(errors.EmptyKey):
        await client.call("KV/Put", rpc_pb2.PutRequest())


async def test_streams_are_iterators(client: DirectClient) -> None:
    await client.call("KV/Put", rpc_pb2.PutRequest(key=b"a", value=b"1"))

    asked = messages([watch(key=b"a", start_revision=1)])
    async with aclosing(client.stream("Watch/Watch", asked)) as responses:
        created, found = [await anext(responses) for _ in range(2)]
    assert created.created
    assert [event.kv.value for event in found.events] == [b"1"]


async def test_every_method_of_every_service_has_a_handler(client: DirectClient) -> None:
    served = {
        f"/{service.full_name}/{method.name}"
        for service in rpc_pb2.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
    missing = served - client.methods.keys()
    assert not missing
