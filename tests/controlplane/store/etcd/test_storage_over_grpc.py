"""The API server's etcd client, against our gRPC face, passes the suite of all stores."""

from collections.abc import AsyncIterator

import pytest

from podling.controlplane.apiserver.storage.etcd_endpoints import EtcdConfig
from podling.controlplane.apiserver.storage.etcd_storage import EtcdStorage
from podling.controlplane.apiserver.storage.interface import Storage
from tests.contract.storage import StorageContract
from tests.controlplane.store.members import Members


class TestOverGrpc(StorageContract):
    @pytest.fixture
    async def storage(self, members: Members) -> AsyncIterator[Storage]:
        (server,) = await members.start(1, listen=True)
        storage = EtcdStorage(EtcdConfig(endpoints=(members.endpoint(server),)))
        await storage.start()
        yield storage
        await storage.stop()
