"""The real API server, over HTTPS, keeps what the simulated one promises."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from podling.kube import kubeconfig
from podling.kube.client import Client
from tests.contract.api import ApiContract
from tests.controlplane.apiserver.server import Certificates, running_server


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("pki"))


@pytest.fixture
async def client(certificates: Certificates, tmp_path: Path) -> AsyncIterator[Client]:
    async with running_server(certificates) as server:
        config = kubeconfig.load(server.kubeconfig(tmp_path / "kubeconfig"))
        transport = kubeconfig.transport(config)
        try:
            yield Client(transport, user_agent="test")
        finally:
            await transport.close()


class TestRealApiServer(ApiContract):
    pass
