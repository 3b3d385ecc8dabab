"""What every cluster has, whatever people delete."""

import asyncio
from dataclasses import replace

from tests.controlplane.apiserver.api import CONFIG, PATIENCE, Api, running_api

SERVICE = "/api/v1/namespaces/default/services/kubernetes"


async def until_there(api: Api, path: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            if (await api.get(path)).status == 200:
                return
            await asyncio.sleep(0.005)


async def test_the_service_of_the_api_itself_comes_back_with_its_address() -> None:
    async with running_api(config=replace(CONFIG, bootstrap_seconds=0.01)) as api:
        before = (await api.get(SERVICE)).json
        assert (await api.delete(SERVICE)).status == 200
        await until_there(api, SERVICE)
        after = (await api.get(SERVICE)).json
        assert after["spec"]["clusterIP"] == before["spec"]["clusterIP"]
        assert after["metadata"]["uid"] != before["metadata"]["uid"]


async def test_namespaces_that_the_system_lives_in_cannot_be_deleted(api: Api) -> None:
    for name in ("default", "kube-system", "kube-public", "kube-node-lease"):
        reply = await api.delete(f"/api/v1/namespaces/{name}")
        assert (reply.status, reply.json["reason"]) == (403, "Forbidden")
