import random
from collections.abc import AsyncIterator

import pytest

from podling.simulate.network import Delay, MemoryNetwork, MemoryTransport
from tests.controlplane.replica.contract_transport import Recorder, TransportContract, append
from tests.waiting import until


@pytest.fixture(params=[Delay(), Delay(0.0, 0.005)], ids=["at once", "delayed"])
def network(request: pytest.FixtureRequest) -> MemoryNetwork:
    return MemoryNetwork(random.Random(1), request.param)


@pytest.fixture
async def one(network: MemoryNetwork) -> AsyncIterator[MemoryTransport]:
    transport = network.transport(1)
    yield transport
    await transport.stop()


@pytest.fixture
async def two(network: MemoryNetwork) -> AsyncIterator[MemoryTransport]:
    transport = network.transport(2)
    yield transport
    await transport.stop()


class TestMemoryNetwork(TransportContract):
    async def test_a_cut_loses_messages_one_way_only(
        self, network: MemoryNetwork, one: MemoryTransport, two: MemoryTransport
    ) -> None:
        first, second = await self.started(one, two)
        network.cut(1, 2)
        one.send([append(1)])
        two.send([append(2).__class__(2, 1, 1, 0, 0, (), 0)])
        await until(lambda: bool(first.messages), "the other way is open")

        assert second.messages == []
        assert one.connected_peers() == frozenset()
        network.heal()
        assert one.connected_peers() == {2}

    async def test_recorders_start_empty(self) -> None:
        assert Recorder().messages == []
