"""Deletes: at once, with finalizers, with grace, of many, of namespaces."""

from typing import Any

import pytest

from podling.controlplane.apiserver.storage.interface import Unavailable, WriteResult
from podling.kube.meta import Object
from tests.controlplane.apiserver.api import CONFIG_MAPS, PODS, Api, config_map, pod

FINALIZED: dict[str, Any] = {"finalizers": ["example.com/hold"]}


async def bound_pod(api: Api, name: str = "a", **spec: object) -> Object:
    created = await api.create(PODS, pod(name, **spec))
    reply = await api.post(f"{PODS}/{name}/binding", {"target": {"name": "node-1"}})
    assert reply.status == 201, reply.body
    return created


async def test_a_delete_removes_and_says_so(api: Api) -> None:
    created = await api.create(CONFIG_MAPS, config_map("a"))
    reply = await api.delete(f"{CONFIG_MAPS}/a")
    assert (reply.status, reply.json["status"]) == (200, "Success")
    assert reply.json["details"]["uid"] == created["metadata"]["uid"]
    assert (await api.get(f"{CONFIG_MAPS}/a")).status == 404
    assert (await api.delete(f"{CONFIG_MAPS}/a")).status == 404


async def test_finalizers_hold_an_object_until_they_are_gone(api: Api) -> None:
    await api.create(CONFIG_MAPS, config_map("a", **FINALIZED))
    marked = (await api.delete(f"{CONFIG_MAPS}/a")).json
    assert marked["kind"] == "ConfigMap"
    assert marked["metadata"]["deletionTimestamp"] == "2023-11-14T22:13:20Z"
    again = (await api.delete(f"{CONFIG_MAPS}/a")).json
    assert again == marked
    await api.patch(f"{CONFIG_MAPS}/a", {"metadata": {"labels": {"x": "y"}}})
    assert (await api.get(f"{CONFIG_MAPS}/a")).status == 200
    await api.patch(f"{CONFIG_MAPS}/a", {"metadata": {"finalizers": None}})
    assert (await api.get(f"{CONFIG_MAPS}/a")).status == 404


async def test_a_deleted_object_takes_no_new_finalizers(api: Api) -> None:
    await api.create(CONFIG_MAPS, config_map("a", **FINALIZED))
    await api.delete(f"{CONFIG_MAPS}/a")
    more = {"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}}
    reply = await api.patch(f"{CONFIG_MAPS}/a", more)
    assert reply.status == 422
    assert "no new finalizers can be added" in reply.json["message"]


async def test_a_deletion_cannot_be_taken_back(api: Api) -> None:
    await api.create(CONFIG_MAPS, config_map("a", **FINALIZED))
    await api.delete(f"{CONFIG_MAPS}/a")
    reply = await api.patch(f"{CONFIG_MAPS}/a", {"metadata": {"deletionTimestamp": None}})
    assert reply.json["metadata"]["deletionTimestamp"]


@pytest.mark.parametrize(
    ("options", "finalizers"),
    [
        ({"propagationPolicy": "Foreground"}, ["foregroundDeletion"]),
        ({"propagationPolicy": "Orphan"}, ["orphan"]),
        ({"orphanDependents": True}, ["orphan"]),
    ],
)
async def test_a_policy_becomes_a_finalizer(
    api: Api, options: Object, finalizers: list[str]
) -> None:
    await api.create(CONFIG_MAPS, config_map("a"))
    marked = (await api.delete(f"{CONFIG_MAPS}/a", options)).json
    assert marked["metadata"]["finalizers"] == finalizers
    assert marked["metadata"]["deletionTimestamp"]


async def test_options_may_stand_in_the_query(api: Api) -> None:
    await api.create(CONFIG_MAPS, config_map("a"))
    marked = (await api.delete(f"{CONFIG_MAPS}/a?propagationPolicy=Foreground")).json
    assert marked["metadata"]["finalizers"] == ["foregroundDeletion"]


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"propagationPolicy": "Sometimes"}, 422),
        ({"propagationPolicy": "Orphan", "orphanDependents": True}, 422),
        ({"gracePeriodSeconds": "soon"}, 400),
        ({"preconditions": "none"}, 400),
        ({"dryRun": ["Some"]}, 422),
        (b"{", 400),
    ],
)
async def test_bad_options_delete_nothing(api: Api, options: object, status: int) -> None:
    await api.create(CONFIG_MAPS, config_map("a"))
    reply = await api.delete(f"{CONFIG_MAPS}/a", options)
    assert (reply.status, reply.json["kind"]) == (status, "Status")
    assert (await api.get(f"{CONFIG_MAPS}/a")).status == 200


@pytest.mark.parametrize("preconditions", [{"uid": "another"}, {"resourceVersion": "1"}])
async def test_preconditions_are_kept(api: Api, preconditions: Object) -> None:
    await api.create(CONFIG_MAPS, config_map("a"))
    reply = await api.delete(f"{CONFIG_MAPS}/a", {"preconditions": preconditions})
    assert (reply.status, reply.json["reason"]) == (409, "Conflict")
    assert "Precondition failed" in reply.json["message"]


async def test_a_dry_run_deletes_nothing(api: Api) -> None:
    await api.create(CONFIG_MAPS, config_map("a"))
    before = api.storage.revision
    assert (await api.delete(f"{CONFIG_MAPS}/a", {"dryRun": ["All"]})).status == 200
    assert (await api.delete(f"{CONFIG_MAPS}/a?dryRun=All")).status == 200
    assert api.storage.revision == before


async def test_an_unscheduled_pod_goes_at_once(api: Api) -> None:
    await api.create(PODS, pod("a"))
    reply = await api.delete(f"{PODS}/a")
    assert reply.json["kind"] == "Pod"
    assert (await api.get(f"{PODS}/a")).status == 404


async def test_a_running_pod_has_its_grace(api: Api) -> None:
    await bound_pod(api, terminationGracePeriodSeconds=20)
    marked = (await api.delete(f"{PODS}/a")).json["metadata"]
    assert marked["deletionGracePeriodSeconds"] == 20
    assert marked["deletionTimestamp"] == "2023-11-14T22:13:40Z"
    longer = (await api.delete(f"{PODS}/a", {"gracePeriodSeconds": 60})).json["metadata"]
    assert longer == marked
    shorter = (await api.delete(f"{PODS}/a", {"gracePeriodSeconds": 5})).json["metadata"]
    assert shorter["deletionGracePeriodSeconds"] == 5
    assert shorter["deletionTimestamp"] == "2023-11-14T22:13:25Z"
    assert (await api.delete(f"{PODS}/a", {"gracePeriodSeconds": 0})).status == 200
    assert (await api.get(f"{PODS}/a")).status == 404


async def test_a_finished_pod_goes_at_once(api: Api) -> None:
    await bound_pod(api)
    await api.patch(f"{PODS}/a/status", {"status": {"phase": "Succeeded"}})
    await api.delete(f"{PODS}/a")
    assert (await api.get(f"{PODS}/a")).status == 404


async def test_an_eviction_deletes_gracefully(api: Api) -> None:
    await bound_pod(api)
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "a"}}
    reply = await api.post(f"{PODS}/a/eviction", body)
    assert (reply.status, reply.json["status"]) == (201, "Success")
    assert (await api.get(f"{PODS}/a")).json["metadata"]["deletionTimestamp"]


async def test_a_collection_is_deleted_by_its_selector(api: Api) -> None:
    for name in ("a", "b", "c"):
        await api.create(CONFIG_MAPS, config_map(name, labels={"n": name}))
    await api.create(CONFIG_MAPS, config_map("held", labels={"n": "x"}, **FINALIZED))
    reply = await api.delete(f"{CONFIG_MAPS}?labelSelector=n+in+(a,b,x)")
    assert (reply.status, reply.json["kind"]) == (200, "ConfigMapList")
    assert [item["metadata"]["name"] for item in reply.json["items"]] == ["a", "b", "held"]
    left = (await api.get(CONFIG_MAPS)).json["items"]
    assert [item["metadata"]["name"] for item in left] == ["c", "held"]


async def test_a_namespace_waits_for_its_finalizer(api: Api) -> None:
    await api.create("/api/v1/namespaces", {"metadata": {"name": "shop"}})
    marked = (await api.delete("/api/v1/namespaces/shop")).json
    assert marked["status"]["phase"] == "Terminating"
    assert marked["spec"]["finalizers"] == ["kubernetes"]
    refused = await api.post("/api/v1/namespaces/shop/configmaps", config_map("a"))
    assert refused.status == 403
    assert refused.json["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    done = await api.put(
        "/api/v1/namespaces/shop/finalize", {"metadata": {"name": "shop"}, "spec": {}}
    )
    assert done.status == 200, done.body
    assert (await api.get("/api/v1/namespaces/shop")).status == 404


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
async def test_some_namespaces_may_not_be_deleted(api: Api, name: str) -> None:
    reply = await api.delete(f"/api/v1/namespaces/{name}")
    assert (reply.status, reply.json["reason"]) == (403, "Forbidden")


async def test_a_collection_that_fails_halfway_says_so(api: Api) -> None:
    for number in range(20):
        await api.create(CONFIG_MAPS, config_map(f"a{number:02}"))
    await api.reached()
    real, calls = api.storage.delete, [0]

    async def delete(key: bytes, *, expected_revision: int) -> WriteResult:
        calls[0] += 1
        if calls[0] == 10:
            raise Unavailable("lost the leader")
        return await real(key, expected_revision=expected_revision)

    api.storage.delete = delete  # type: ignore[method-assign]
    reply = await api.delete(CONFIG_MAPS)
    assert (reply.status, reply.json["reason"]) == (503, "ServiceUnavailable")
    again = await api.delete(CONFIG_MAPS)
    assert again.status == 200
    assert (await api.get(CONFIG_MAPS)).json["items"] == []
