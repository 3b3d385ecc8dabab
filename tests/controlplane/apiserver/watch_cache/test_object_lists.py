"""Lists: selectors, pages, revisions, forms."""

import base64

import orjson
import pytest

from podling.controlplane.apiserver.api_core import ApiCoreConfig
from podling.controlplane.apiserver.storage.interface import Unavailable
from podling.controlplane.apiserver.watch_cache import object_lists
from podling.kube.meta import Object
from podling.simulate.memory_storage import MemoryStorage
from tests.controlplane.apiserver.api import CONFIG_MAPS, PODS, Api, config_map, pod, running_api

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PARTIAL = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"


def names(listed: Object) -> list[str]:
    return [item["metadata"]["name"] for item in listed["items"]]


async def fill(api: Api, count: int) -> None:
    for number in range(count):
        await api.create(CONFIG_MAPS, config_map(f"c{number}", labels={"n": str(number)}))


async def test_a_list_is_as_new_as_the_write_before_it(api: Api) -> None:
    for number in range(20):
        created = await api.create(CONFIG_MAPS, config_map(f"c{number:02}"))
        listed = (await api.get(CONFIG_MAPS)).json
        assert names(listed)[-1] == f"c{number:02}"
        listed_at = int(listed["metadata"]["resourceVersion"])
        assert listed_at >= int(created["metadata"]["resourceVersion"])


async def test_an_empty_list_has_items_and_a_revision(api: Api) -> None:
    listed = (await api.get(CONFIG_MAPS)).json
    assert listed["items"] == []
    assert (listed["kind"], listed["apiVersion"]) == ("ConfigMapList", "v1")
    assert int(listed["metadata"]["resourceVersion"]) > 0


async def test_a_namespace_is_a_part_of_all(api: Api) -> None:
    other = CONFIG_MAPS.replace("default", "kube-public")
    await api.create(CONFIG_MAPS, config_map("a"))
    await api.create(other, config_map("b"))
    assert names((await api.get(CONFIG_MAPS)).json) == ["a"]
    assert names((await api.get("/api/v1/configmaps")).json) == ["a", "b"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("labelSelector=n%3D1", ["c1"]),
        ("labelSelector=n+in+(0,2)", ["c0", "c2"]),
        ("labelSelector=!n", []),
        ("fieldSelector=metadata.name%3Dc2", ["c2"]),
        ("fieldSelector=metadata.name!%3Dc2&labelSelector=n", ["c0", "c1"]),
    ],
)
async def test_selectors_select(api: Api, query: str, found: list[str]) -> None:
    await fill(api, 3)
    assert names((await api.get(f"{CONFIG_MAPS}?{query}")).json) == found


async def test_pods_are_selected_by_node(api: Api) -> None:
    await api.create(PODS, pod("a"))
    await api.create(PODS, pod("b"))
    await api.post(f"{PODS}/b/binding", {"target": {"name": "node-1"}})
    assert names((await api.get("/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-1")).json) == ["b"]
    assert names((await api.get("/api/v1/pods?fieldSelector=spec.nodeName%3D")).json) == ["a"]


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("labelSelector=a%3D%3D%3Db", 400, ""),
        ("labelSelector=in", 200, ""),
        ("fieldSelector=spec.nonsense%3Da", 400, "field label not supported"),
        ("limit=many", 400, "limit"),
        ("limit=-1", 422, "limit"),
        ("resourceVersion=abc", 422, "resourceVersion"),
        ("resourceVersionMatch=Exact", 422, "resourceVersionMatch is forbidden unless"),
        ("resourceVersionMatch=Exact&resourceVersion=0", 422, "Exact"),
        ("resourceVersionMatch=Sometimes&resourceVersion=1", 422, "Sometimes"),
        ("sendInitialEvents=true", 422, "sendInitialEvents is forbidden for list"),
        ("continue=nonsense", 400, "continue key is not valid"),
        ("continue=e30", 400, "continue key is not valid"),
        ("limit=99999999999999999999999", 400, "limit"),
    ],
)
async def test_a_bad_list_is_a_status(api: Api, query: str, status: int, words: str) -> None:
    reply = await api.get(f"{CONFIG_MAPS}?{query}")
    assert reply.status == status, reply.body
    assert words in reply.json.get("message", "")


async def test_pages_add_up_to_the_list_as_it_was(api: Api) -> None:
    await fill(api, 5)
    first = (await api.get(f"{CONFIG_MAPS}?limit=2")).json
    assert names(first) == ["c0", "c1"]
    assert first["metadata"]["remainingItemCount"] == 3
    await api.delete(f"{CONFIG_MAPS}/c3")
    await api.create(CONFIG_MAPS, config_map("c9"))
    seen, token = names(first), first["metadata"]["continue"]
    while token:
        page = (await api.get(f"{CONFIG_MAPS}?limit=2&continue={token}")).json
        assert page["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
        seen += names(page)
        token = page["metadata"].get("continue")
    assert seen == ["c0", "c1", "c2", "c3", "c4"]


async def test_pages_of_a_selection_have_no_count(api: Api) -> None:
    await fill(api, 5)
    first = (await api.get(f"{CONFIG_MAPS}?limit=2&labelSelector=n")).json
    assert "remainingItemCount" not in first["metadata"]
    token = first["metadata"]["continue"]
    await api.create(CONFIG_MAPS, config_map("a"))
    rest = (await api.get(f"{CONFIG_MAPS}?continue={token}&labelSelector=n")).json
    assert names(first) + names(rest) == ["c0", "c1", "c2", "c3", "c4"]
    assert "continue" not in rest["metadata"]


async def test_a_last_page_that_is_full_has_no_token(api: Api) -> None:
    await fill(api, 2)
    for query in ("limit=2", "limit=2&labelSelector=n"):
        page = (await api.get(f"{CONFIG_MAPS}?{query}")).json
        assert "continue" not in page["metadata"]


async def test_an_expired_page_says_how_to_go_on(api: Api) -> None:
    await fill(api, 4)
    first = (await api.get(f"{CONFIG_MAPS}?limit=2")).json
    await api.delete(f"{CONFIG_MAPS}/c2")
    await api.reached()
    await api.storage.compact(api.storage.revision)
    expired = await api.get(f"{CONFIG_MAPS}?limit=2&continue={first['metadata']['continue']}")
    assert (expired.status, expired.json["reason"]) == (410, "Expired")
    token = expired.json["metadata"]["continue"]
    rest = (await api.get(f"{CONFIG_MAPS}?limit=2&continue={token}")).json
    assert names(rest) == ["c3"]


async def test_a_token_does_not_lead_out_of_its_range(api: Api) -> None:
    text = orjson.dumps({"v": "meta.k8s.io/v1", "rv": 2, "start": "../../secrets/"})
    token = base64.urlsafe_b64encode(text).decode()
    assert (await api.get(f"{CONFIG_MAPS}?continue={token}")).status == 400


async def test_the_past_is_listed_exactly(api: Api) -> None:
    await api.create(CONFIG_MAPS, config_map("a"))
    then = await api.reached()
    await api.create(CONFIG_MAPS, config_map("b"))
    query = f"resourceVersion={then}&resourceVersionMatch=Exact"
    listed = (await api.get(f"{CONFIG_MAPS}?{query}")).json
    assert names(listed) == ["a"]
    assert listed["metadata"]["resourceVersion"] == str(then)
    await api.reached()
    await api.storage.compact(api.storage.revision)
    expired = await api.get(f"{CONFIG_MAPS}?{query}")
    assert (expired.status, expired.json["reason"]) == (410, "Expired")


async def test_a_revision_that_has_not_happened_is_too_large(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_lists, "CATCH_UP_SECONDS", 0.05)
    for url in (f"{CONFIG_MAPS}?resourceVersion=99999", f"{CONFIG_MAPS}/a?resourceVersion=99999"):
        reply = await api.get(url)
        assert (reply.status, reply.json["reason"]) == (504, "Timeout")
        assert "Too large resource version" in reply.json["message"]
        assert reply.json["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"
        assert reply.headers["Retry-After"] == "1"


async def test_any_state_will_do_while_the_store_is_away(api: Api) -> None:
    await api.create(CONFIG_MAPS, config_map("a"))
    await api.reached()
    api.storage.fail_next(Unavailable("no quorum"))
    assert (await api.get(CONFIG_MAPS)).status == 503
    api.storage.fail_next(Unavailable("no quorum"))
    assert names((await api.get(f"{CONFIG_MAPS}?resourceVersion=0")).json) == ["a"]
    assert (await api.get(f"{CONFIG_MAPS}/a?resourceVersion=0")).json["metadata"]["name"] == "a"
    assert (await api.get(f"{CONFIG_MAPS}/x?resourceVersion=0")).status == 404


async def test_a_list_is_shown_as_a_table(api: Api) -> None:
    await api.create(PODS, pod("a"))
    reply = await api.get(f"{PODS}?limit=500", accept=TABLE)
    table = reply.json
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert [column["name"] for column in table["columnDefinitions"]][:3] == [
        "Name",
        "Ready",
        "Status",
    ]
    assert table["rows"][0]["cells"][0] == "a"
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    assert int(table["metadata"]["resourceVersion"]) > 0


async def test_a_long_table_has_every_row_once(api: Api) -> None:
    await fill(api, 120)
    table = (await api.get(CONFIG_MAPS, accept=TABLE)).json
    assert len({row["cells"][0] for row in table["rows"]}) == len(table["rows"]) == 120


async def test_a_list_is_reduced_to_metadata(api: Api) -> None:
    await fill(api, 2)
    listed = (await api.get(CONFIG_MAPS, accept=PARTIAL)).json
    assert listed["kind"] == "PartialObjectMetadataList"
    assert [item["kind"] for item in listed["items"]] == ["PartialObjectMetadata"] * 2
    assert "data" not in listed["items"][0]


async def test_a_long_list_is_written_in_pieces_and_whole(api: Api) -> None:
    for number in range(30):
        await api.create(CONFIG_MAPS, config_map(f"c{number:02}", {"k": "v" * 50_000}))
    listed = (await api.get(CONFIG_MAPS)).json
    assert len(listed["items"]) == 30


async def test_a_form_nobody_can_give_is_not_acceptable(api: Api) -> None:
    reply = await api.get(CONFIG_MAPS, accept="text/html")
    assert (reply.status, reply.json["reason"]) == (406, "NotAcceptable")


async def test_objects_of_a_kube_apiserver_are_read_too() -> None:
    storage = MemoryStorage()
    foreign = (
        b'{"apiVersion":"v1","kind":"ConfigMap","data":{"k":"v"},'
        b'"metadata":{"name":"a","namespace":"default","uid":"u"}}'
    )
    await storage.put(b"/registry/configmaps/default/a", foreign, expected_revision=0)
    await storage.put(b"/registry/configmaps/default/b", b"not an object", expected_revision=0)
    async with running_api(storage) as api:
        listed = (await api.get(CONFIG_MAPS)).json
        assert names(listed) == ["a"]
        assert listed["items"][0]["data"] == {"k": "v"}
        assert listed["items"][0]["metadata"]["resourceVersion"] == "2"
        assert (await api.get(f"{CONFIG_MAPS}/a")).json == listed["items"][0]


async def test_many_requests_at_once_are_asked_to_come_again() -> None:
    config = ApiCoreConfig(podling_version="t", service_range="127.9.0.0/18")
    async with running_api(config=config) as api:
        with api.core.in_flight.admitted("list"):
            api.core.in_flight._max[True] = 1
            reply = await api.get(CONFIG_MAPS)
        assert (reply.status, reply.headers["Retry-After"]) == (429, "1")
        assert (await api.get(CONFIG_MAPS)).status == 200
