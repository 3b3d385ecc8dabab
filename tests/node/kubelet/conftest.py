from collections.abc import AsyncIterator

import pytest

from tests.node.kubelet import certificates as certificate_maker
from tests.node.kubelet.certificates import Certificates
from tests.node.kubelet.node_harness import Node, node


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificate_maker.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
async def idle_node(certificates: Certificates) -> AsyncIterator[Node]:
    """Its kubelet is not started."""
    async with node(certificates) as made:
        yield made


@pytest.fixture
async def ready_node(certificates: Certificates) -> AsyncIterator[Node]:
    """Its kubelet works on pods."""
    async with node(certificates) as made:
        await made.ready()
        yield made
