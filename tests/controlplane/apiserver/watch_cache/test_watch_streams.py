"""Watches: where they begin, what they see, how they end."""

import asyncio

import orjson
import pytest

from podling.controlplane.apiserver.api_core import ApiCoreConfig
from podling.controlplane.apiserver.storage.interface import Unavailable
from podling.controlplane.apiserver.watch_cache.watch_cache import WatchCacheConfig
from tests.controlplane.apiserver.api import (
    CONFIG_MAPS,
    PATIENCE,
    PODS,
    Api,
    MemorySink,
    config_map,
    pod,
    running_api,
)

WATCH_LIST = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PARTIAL = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"


async def version(api: Api) -> str:
    listed = (await api.get(CONFIG_MAPS)).json
    return str(listed["metadata"]["resourceVersion"])


async def test_a_watch_from_a_list_sees_what_follows(api: Api) -> None:
    await api.create(CONFIG_MAPS, config_map("before"))
    watch = await api.watch(f"{CONFIG_MAPS}?resourceVersion={await version(api)}")
    await api.create(CONFIG_MAPS, config_map("a"))
    await api.patch(f"{CONFIG_MAPS}/a", {"data": {"k": "v"}})
    await api.delete(f"{CONFIG_MAPS}/a")
    assert await watch.brief(3) == ["ADDED a", "MODIFIED a", "DELETED a"]
    added, modified, deleted = [obj for _, obj in await watch.events(3)]
    versions = [int(obj["metadata"]["resourceVersion"]) for obj in (added, modified, deleted)]
    assert versions == sorted(set(versions))
    assert deleted["data"] == {"k": "v"}
    assert versions[2] == api.storage.revision


async def test_a_watch_from_the_past_misses_nothing(api: Api) -> None:
    start = await version(api)
    for name in ("a", "b"):
        await api.create(CONFIG_MAPS, config_map(name))
    await api.delete(f"{CONFIG_MAPS}/a")
    await api.reached()
    watch = await api.watch(f"{CONFIG_MAPS}?resourceVersion={start}")
    await api.create(CONFIG_MAPS, config_map("c"))
    assert await watch.brief(4) == ["ADDED a", "ADDED b", "DELETED a", "ADDED c"]


@pytest.mark.parametrize("query", ["", "resourceVersion=0"])
async def test_a_watch_without_beginning_shows_the_state_first(api: Api, query: str) -> None:
    await api.create(CONFIG_MAPS, config_map("a"))
    await api.reached()
    watch = await api.watch(f"{CONFIG_MAPS}?{query}")
    await api.create(CONFIG_MAPS, config_map("b"))
    assert await watch.brief(2) == ["ADDED a", "ADDED b"]


async def test_a_watch_list_says_where_the_state_ends(api: Api) -> None:
    await api.create(CONFIG_MAPS, config_map("a"))
    watch = await api.watch(f"{CONFIG_MAPS}?{WATCH_LIST}")
    (_, added), (what, bookmark) = await watch.events(2)
    assert added["metadata"]["name"] == "a"
    assert what == "BOOKMARK"
    assert bookmark["kind"], bookmark["apiVersion"] == ("ConfigMap", "v1")
    assert bookmark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert set(bookmark["metadata"]) == {"annotations", "resourceVersion"}
    assert int(bookmark["metadata"]["resourceVersion"]) >= int(added["metadata"]["resourceVersion"])
    await api.create(CONFIG_MAPS, config_map("b"))
    assert (await watch.brief(3))[2] == "ADDED b"


async def test_an_empty_watch_list_ends_at_once(api: Api) -> None:
    watch = await api.watch(f"{CONFIG_MAPS}?{WATCH_LIST}")
    assert await watch.brief(1) == ["BOOKMARK"]


async def test_no_bookmark_for_who_did_not_ask(api: Api) -> None:
    query = WATCH_LIST.replace("allowWatchBookmarks=true", "allowWatchBookmarks=false")
    watch = await api.watch(f"{CONFIG_MAPS}?{query}&timeoutSeconds=1")
    await api.create(CONFIG_MAPS, config_map("a"))
    assert await watch.brief(1) == ["ADDED a"]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("sendInitialEvents=true", "sendInitialEvents requires"),
        ("sendInitialEvents=true&resourceVersionMatch=Exact", "Exact"),
        ("resourceVersionMatch=NotOlderThan", "forbidden for watch unless"),
        ("continue=abc", "continue is forbidden for watch"),
    ],
)
async def test_a_bad_watch_is_invalid(api: Api, query: str, words: str) -> None:
    reply = await api.get(f"{CONFIG_MAPS}?watch=1&{query}")
    assert (reply.status, reply.json["reason"]) == (422, "Invalid")
    assert words in reply.json["message"]


async def test_objects_enter_and_leave_a_selection(api: Api) -> None:
    start = await version(api)
    watch = await api.watch(f"{CONFIG_MAPS}?resourceVersion={start}&labelSelector=a%3D1")
    await api.create(CONFIG_MAPS, config_map("x", labels={"a": "0"}))
    await api.patch(f"{CONFIG_MAPS}/x", {"metadata": {"labels": {"a": "1"}}})
    await api.patch(f"{CONFIG_MAPS}/x", {"data": {"k": "v"}})
    left = await api.patch(f"{CONFIG_MAPS}/x", {"metadata": {"labels": {"a": "2"}}})
    assert await watch.brief(3) == ["ADDED x", "MODIFIED x", "DELETED x"]
    _, gone = (await watch.events(3))[2]
    assert gone["metadata"]["labels"] == {"a": "1"}
    assert gone["metadata"]["resourceVersion"] == left.json["metadata"]["resourceVersion"]


async def test_a_pod_appears_to_its_node_when_it_is_bound(api: Api) -> None:
    start = await version(api)
    url = f"/api/v1/pods?resourceVersion={start}&fieldSelector=spec.nodeName%3Dnode-1"
    watch = await api.watch(url)
    await api.create(PODS, pod("a"))
    await api.create(PODS, pod("b"))
    await api.post(f"{PODS}/b/binding", {"target": {"name": "node-1"}})
    assert await watch.brief(1) == ["ADDED b"]


async def test_one_object_is_watched(api: Api) -> None:
    start = await version(api)
    watch = await api.watch(f"{CONFIG_MAPS}/b?resourceVersion={start}")
    for name in ("a", "b", "c"):
        await api.create(CONFIG_MAPS, config_map(name))
    await api.delete(f"{CONFIG_MAPS}/b")
    assert await watch.brief(2) == ["ADDED b", "DELETED b"]


async def test_every_watch_sees_the_same_order(api: Api) -> None:
    start = await version(api)
    watches = [await api.watch(f"{CONFIG_MAPS}?resourceVersion={start}") for _ in range(5)]
    for number in range(20):
        await api.create(CONFIG_MAPS, config_map(f"c{number}"))
    seen = [await watch.brief(20) for watch in watches]
    assert seen == [seen[0]] * 5


async def test_a_watch_shows_tables_with_columns_once(api: Api) -> None:
    start = await version(api)
    watch = await api.watch(f"{CONFIG_MAPS}?resourceVersion={start}", accept=TABLE)
    for name in ("a", "b"):
        await api.create(CONFIG_MAPS, config_map(name))
    (_, first), (_, second) = await watch.events(2)
    assert first["kind"] == second["kind"] == "Table"
    assert first["columnDefinitions"]
    assert not second["columnDefinitions"]
    assert [table["rows"][0]["cells"][0] for table in (first, second)] == ["a", "b"]


async def test_a_watch_shows_metadata_only(api: Api) -> None:
    watch = await api.watch(f"{CONFIG_MAPS}?{WATCH_LIST}", accept=PARTIAL)
    await api.create(CONFIG_MAPS, config_map("a", {"k": "v"}))
    (_, bookmark), (_, added) = await watch.events(2)
    assert bookmark["kind"] == added["kind"] == "PartialObjectMetadata"
    assert "data" not in added


async def test_a_watch_ends_in_time_with_a_bookmark(api: Api) -> None:
    start = await version(api)
    query = f"resourceVersion={start}&timeoutSeconds=1&allowWatchBookmarks=true"
    watch = await api.watch(f"{CONFIG_MAPS}?{query}")
    await watch.ended()
    assert not watch.sink.aborted
    assert await watch.brief(1) == ["BOOKMARK"]
    assert api.core.cache.watch_count() == 0


async def test_a_watch_that_is_too_old_is_told() -> None:
    config = ApiCoreConfig(
        podling_version="t",
        service_range="127.9.0.0/18",
        watch_cache=WatchCacheConfig(window_events_max=3),
    )
    async with running_api(config=config) as api:
        start = await version(api)
        for number in range(5):
            await api.create(CONFIG_MAPS, config_map(f"c{number}"))
        await api.reached()
        watch = await api.watch(f"{CONFIG_MAPS}?resourceVersion={start}")
        await watch.ended()
        ((what, status),) = await watch.events(1)
        assert (what, status["code"], status["reason"]) == ("ERROR", 410, "Expired")
        assert "too old resource version" in status["message"]


async def test_a_watch_from_the_future_waits_for_it(api: Api) -> None:
    ahead = int(await version(api)) + 2
    watch = await api.watch(f"{CONFIG_MAPS}?resourceVersion={ahead}")
    for name in ("a", "b", "c"):
        await api.create(CONFIG_MAPS, config_map(name))
    assert await watch.brief(1) == ["ADDED c"]


async def test_a_reader_that_does_not_read_is_cut_off() -> None:
    config = ApiCoreConfig(
        podling_version="t", service_range="127.9.0.0/18", watch_buffer_bytes=10_000
    )
    async with running_api(config=config) as api:
        sink = MemorySink()
        watch = await api.watch(f"{CONFIG_MAPS}?resourceVersion={await version(api)}", sink)
        other = await api.watch(f"{CONFIG_MAPS}?resourceVersion={await version(api)}")
        await api.create(CONFIG_MAPS, config_map("first"))
        await watch.brief(1)
        sink.full = True
        for number in range(10):
            await api.create(CONFIG_MAPS, config_map(f"c{number}", {"k": "v" * 2000}))
        await watch.ended()
        assert sink.aborted
        assert len(await other.brief(11)) == 11


async def test_a_stopping_server_ends_its_watches_cleanly(api: Api) -> None:
    watch = await api.watch(f"{CONFIG_MAPS}?resourceVersion={await version(api)}")
    await api.create(CONFIG_MAPS, config_map("a"))
    await watch.brief(1)
    api.core.end_watches()
    await watch.ended()
    assert not watch.sink.aborted
    assert (await api.get("/readyz")).status == 500


async def test_a_watch_survives_the_stores_absence(api: Api) -> None:
    watch = await api.watch(f"{CONFIG_MAPS}?resourceVersion={await version(api)}")
    await api.create(CONFIG_MAPS, config_map("a"))
    await watch.brief(1)
    api.storage.drop_watches(Unavailable("lost"))
    await api.create(CONFIG_MAPS, config_map("b"))
    assert await watch.brief(2) == ["ADDED a", "ADDED b"]


async def test_forgotten_history_ends_watches_and_loads_anew(api: Api) -> None:
    watch = await api.watch(f"{CONFIG_MAPS}?resourceVersion={await version(api)}")
    await api.create(CONFIG_MAPS, config_map("a"))
    await watch.brief(1)
    api.storage.drop_watches(Unavailable("lost"))
    # Before the cache has come back: things happen and are forgotten.
    await api.storage.put(
        b"/registry/configmaps/default/b",
        orjson.dumps({"metadata": {"name": "b", "namespace": "default"}}),
        expected_revision=0,
    )
    await api.storage.compact(api.storage.revision)
    await watch.ended()
    assert [what for what, _ in await watch.events(2)] == ["ADDED", "ERROR"]
    async with asyncio.timeout(PATIENCE):
        await api.core.cache.loaded.wait()
    listed = (await api.get(CONFIG_MAPS)).json
    assert [item["metadata"]["name"] for item in listed["items"]] == ["a", "b"]


async def test_a_watcher_that_leaves_is_forgotten(api: Api) -> None:
    watch = await api.watch(f"{CONFIG_MAPS}?resourceVersion={await version(api)}")
    await api.create(CONFIG_MAPS, config_map("a"))
    await watch.brief(1)
    assert api.core.cache.watch_count() == 1
    watch.task.cancel()
    await asyncio.wait([watch.task])
    assert api.core.cache.watch_count() == 0


async def test_writes_during_a_long_beginning_come_after_it(api: Api) -> None:
    for number in range(50):
        await api.create(CONFIG_MAPS, config_map(f"c{number:02}", {"k": "v" * 20_000}))
    await api.reached()
    sink = MemorySink()
    sink.full = True
    watch = await api.watch(f"{CONFIG_MAPS}?{WATCH_LIST}", sink)
    await watch.brief(1)
    await api.create(CONFIG_MAPS, config_map("late"))
    await api.patch(f"{CONFIG_MAPS}/c00", {"data": {"k": "w"}})
    await api.reached()
    sink.full = False
    sink.write(b"")
    seen = await watch.brief(53)
    assert seen[:50] == [f"ADDED c{number:02}" for number in range(50)]
    assert seen[50:] == ["BOOKMARK", "ADDED late", "MODIFIED c00"]
