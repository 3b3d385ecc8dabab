"""Health, version, discovery, OpenAPI and metrics, through the REST function."""

import pytest

from podling.controlplane.apiserver.request.authn import AUTHENTICATED, User
from podling.controlplane.apiserver.storage.interface import Unavailable
from podling.simulate.memory_storage import MemoryStorage
from tests.controlplane.apiserver.api import CONFIG_MAPS, Api, config_map, running_api
from tests.waiting import until


async def test_health_in_detail(api: Api) -> None:
    reply = await api.get("/readyz?verbose")
    assert reply.status == 200
    assert b"[+]watch-cache ok\n" in reply.body
    assert reply.body.endswith(b"readyz check passed\n")


async def test_a_stopping_server_is_not_ready_but_alive(api: Api) -> None:
    api.core.end_watches()
    reply = await api.get("/readyz")
    assert reply.status == 500
    assert b"[-]shutdown failed: the server is stopping" in reply.body
    assert (await api.get("/livez")).status == 200


async def test_the_version_is_text(api: Api) -> None:
    version = (await api.get("/version")).json
    assert (version["major"], version["minor"]) == ("1", "37")
    assert version["gitVersion"].startswith("v1.37.")


async def test_documents_are_not_sent_twice(api: Api) -> None:
    for path in ("/api", "/apis", "/api/v1", "/openapi/v3", "/openapi/v3/apis/apps/v1"):
        first = await api.get(path)
        assert first.status == 200
        again = await api.get(path, if_none_match=first.headers["ETag"])
        assert (again.status, again.body) == (304, b"")


async def test_metrics_count_requests_without_a_series_for_each_nonsense(api: Api) -> None:
    await api.create(CONFIG_MAPS, config_map("a"))
    for number in range(3):
        await api.get(f"/api/v1/nonsense{number}")
    watch = await api.watch(f"{CONFIG_MAPS}?resourceVersion=1")
    await watch.brief(1)
    text = (await api.get("/metrics")).body.decode()
    series = 'verb="create",version="v1"'
    assert any(series in line and 'resource="configmaps"' in line for line in text.splitlines())
    assert "nonsense" not in text
    assert 'apiserver_longrunning_requests{verb="WATCH"} 1.0' in text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/version", 405),
        ("GET", "/nonsense", 404),
        ("GET", "/", 404),
        ("GET", "/openapi/v3/apis/none/v1", 404),
        ("GET", "/apis/none", 404),
        ("PUT", "/api", 405),
    ],
)
async def test_other_paths_are_a_status(api: Api, method: str, path: str, status: int) -> None:
    reply = await api.ask(method, path)
    assert (reply.status, reply.json["kind"]) == (status, "Status")


async def test_metrics_are_for_some(api: Api) -> None:
    api.user = User("somebody", (AUTHENTICATED,))
    reply = await api.get("/metrics")
    assert reply.status == 403
    assert reply.json["message"] == 'forbidden: User "somebody" cannot get path "/metrics"'
    assert (await api.get("/api")).status == 200


async def test_a_server_whose_store_is_away_says_what_it_waits_for() -> None:
    store = MemoryStorage()
    async with running_api(store) as api:
        api.core.cache.loaded.clear()
        reply = await api.get("/readyz")
        assert b"[-]watch-cache failed: the store has not been read yet" in reply.body
        listed = await api.get(CONFIG_MAPS + "?resourceVersion=0")
        assert listed.status in (503, 504)
        store.fail_next(Unavailable("no leader"))
        assert (await api.get(CONFIG_MAPS)).status == 503


async def test_a_server_that_lost_its_store_is_not_ready_until_it_is_back() -> None:
    store = MemoryStorage()
    async with running_api(store) as api:
        away = Unavailable("no leader")
        for _ in range(8):
            store.fail_next(away)
        store.drop_watches(away)
        await until(lambda: api.core.checks()["etcd"], "the loss to be noticed")
        reply = await api.get("/readyz")
        assert reply.status == 500
        assert b"[-]etcd failed: no leader" in reply.body
        await until(lambda: not api.core.checks()["etcd"], "the store to be found again")
        assert (await api.get("/readyz")).status == 200
