"""What every cluster has, whatever people delete."""

import asyncio
import random
from dataclasses import replace

from podling.aiokit.backoff import Backoff
from podling.controlplane.apiserver.bootstrap import Bootstrap
from tests.controlplane.apiserver.api import CONFIG, PATIENCE, Api, running_api

SERVICE = "/api/v1/namespaces/default/services/kubernetes"
SLICE = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"


async def until_there(api: Api, path: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            if (await api.get(path)).status == 200:
                return
            await asyncio.sleep(0.005)


async def test_the_service_of_the_api_itself_comes_back_with_its_address() -> None:
    async with running_api(config=replace(CONFIG, bootstrap_seconds=0.01)) as api:
        before = (await api.get(SERVICE)).json
        for path in (SERVICE, SLICE):
            assert (await api.delete(path)).status == 200
            await until_there(api, path)
        after = (await api.get(SERVICE)).json
        assert after["spec"]["clusterIP"] == before["spec"]["clusterIP"]
        assert after["metadata"]["uid"] != before["metadata"]["uid"]


async def test_looking_again_writes_nothing_where_nothing_is_missing(api: Api) -> None:
    version = (await api.get(SLICE)).json["metadata"]["resourceVersion"]
    backoff = Backoff(0.01, 0.01, random.Random(1))
    looks = Bootstrap(api.core.registry, "127.9.0.1", CONFIG.endpoints, backoff, interval=1)
    await looks.ensure()
    assert (await api.get(SLICE)).json["metadata"]["resourceVersion"] == version


async def test_namespaces_that_the_system_lives_in_cannot_be_deleted(api: Api) -> None:
    for name in ("default", "kube-system", "kube-public", "kube-node-lease"):
        reply = await api.delete(f"/api/v1/namespaces/{name}")
        assert (reply.status, reply.json["reason"]) == (403, "Forbidden")
