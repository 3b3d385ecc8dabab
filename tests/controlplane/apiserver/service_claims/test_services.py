"""Addresses of Services, the objects a cluster begins with, Events' leases, compaction."""

import ipaddress
import random
from dataclasses import replace

import pytest

from podling.controlplane.apiserver.service_claims.claim_repair import ClaimRepair
from podling.controlplane.apiserver.service_claims.node_ports import NodePorts
from podling.controlplane.apiserver.service_claims.service_addresses import (
    CLAIMS,
    Claims,
    ServiceRange,
)
from podling.controlplane.apiserver.storage import interface as storage
from podling.controlplane.apiserver.storage.compactor import KEY, Compactor
from podling.kube.meta import Object
from podling.simulate.memory_storage import MemoryStorage
from tests.controlplane.apiserver.api import CONFIG, NOW, Api, Ids, running_api

SERVICES = "/api/v1/namespaces/default/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
RANGE = ServiceRange(ipaddress.ip_network("127.9.0.0/18"))


def service(name: str, **spec: object) -> Object:
    return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **spec}}


async def claimed(api: Api) -> set[str]:
    kvs = (await api.storage.list(CLAIMS, CLAIMS[:-1] + b"0")).kvs
    return {kv.key.decode().rpartition("/")[2] for kv in kvs} - {"127.9.0.1"}


async def test_services_get_addresses_of_their_own(api: Api) -> None:
    created = [await api.create(SERVICES, service(f"s{n}")) for n in range(10)]
    addresses = {one["spec"]["clusterIP"] for one in created}
    assert len(addresses) == 10
    assert all(RANGE.holds(address) for address in addresses)
    assert created[0]["spec"]["clusterIPs"] == [created[0]["spec"]["clusterIP"]]
    assert await claimed(api) == addresses


async def test_an_address_can_be_asked_for_once(api: Api) -> None:
    dns = await api.create(SERVICES, service("dns", clusterIP="127.9.0.10"))
    assert dns["spec"]["clusterIP"] == "127.9.0.10"
    taken = await api.post(SERVICES, service("other", clusterIP="127.9.0.10"))
    assert taken.status == 422
    assert "provided IP is already allocated" in taken.json["message"]
    outside = await api.post(SERVICES, service("other", clusterIP="10.0.0.1"))
    assert outside.status == 422
    assert "not in the valid range" in outside.json["message"]


async def test_a_headless_service_has_none(api: Api) -> None:
    created = await api.create(SERVICES, service("s", clusterIP="None"))
    assert created["spec"]["clusterIP"] == "None"
    assert await claimed(api) == set()


async def test_an_address_is_kept_and_given_back(api: Api) -> None:
    created = await api.create(SERVICES, service("s"))
    address = created["spec"]["clusterIP"]
    replaced = await api.put(f"{SERVICES}/s", service("s", ports=[{"port": 81}]))
    assert replaced.json["spec"]["clusterIP"] == address
    await api.delete(f"{SERVICES}/s")
    assert await claimed(api) == set()


async def test_a_service_that_is_refused_takes_no_address(api: Api) -> None:
    await api.create(SERVICES, service("s"))
    before = await claimed(api)
    assert (await api.post(SERVICES, service("s"))).status == 409
    assert (await api.post(SERVICES, service("bad", ports=[{"port": 0}]))).status == 422
    assert (await api.post(f"{SERVICES}?dryRun=All", service("dry"))).status == 201
    assert await claimed(api) == before


async def test_creating_an_existing_service_again_leaves_its_claim(api: Api) -> None:
    await api.create(SERVICES, service("s", clusterIP="127.9.0.77"))
    assert (await api.post(SERVICES, service("s", clusterIP="127.9.0.77"))).status == 409
    assert await claimed(api) == {"127.9.0.77"}


async def test_leftover_claims_are_freed_and_missing_ones_made(api: Api) -> None:
    created = await api.create(SERVICES, service("s"))
    ghost: Object = {"metadata": {"name": "ghost", "namespace": "default"}}
    old = Claims(api.storage, lambda: NOW - 3600, Ids())
    await old.take("127.9.2.2", ghost)
    fresh = Claims(api.storage, lambda: NOW, Ids())
    await fresh.take("127.9.2.3", ghost)
    await fresh.release(created["spec"]["clusterIP"], created)
    ports = NodePorts(api.storage, random.Random(1))
    await ClaimRepair(fresh, ports, api.core.cache, RANGE).repair()
    assert await claimed(api) == {created["spec"]["clusterIP"], "127.9.2.3"}


async def test_node_ports_are_handed_out_kept_and_given_back(api: Api) -> None:
    used = NodePorts(api.storage, random.Random(1)).used
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 81, "nodePort": 30500}]
    created = await api.create(SERVICES, service("s", type="NodePort", ports=ports))
    drawn, asked = [port["nodePort"] for port in created["spec"]["ports"]]
    assert asked == 30500
    assert drawn in range(30000, 32768)
    assert await used() == {drawn, asked}
    taken = [{"port": 80, "nodePort": 30500}]
    reply = await api.post(SERVICES, service("t", type="NodePort", ports=taken))
    assert reply.status == 422
    assert "provided port is already allocated" in reply.json["message"]
    outside = [{"port": 80, "nodePort": 80}]
    reply = await api.post(SERVICES, service("t", type="NodePort", ports=outside))
    assert reply.status == 422
    assert "not in the valid range" in reply.json["message"]
    assert await used() == {drawn, asked}
    addresses = await claimed(api)
    assert addresses == {created["spec"]["clusterIP"]}
    fewer = await api.put(f"{SERVICES}/s", service("s", type="NodePort", ports=ports[:1]))
    assert fewer.json["spec"]["ports"][0]["nodePort"] == drawn
    assert await used() == {drawn}
    await api.delete(f"{SERVICES}/s")
    assert await used() == set()


async def test_node_ports_without_a_service_are_freed_at_the_second_look(api: Api) -> None:
    ports = NodePorts(api.storage, random.Random(1))
    claims = Claims(api.storage, lambda: NOW, Ids())
    created = await api.create(SERVICES, service("s", type="NodePort"))
    (mine,) = (port["nodePort"] for port in created["spec"]["ports"])
    await ports.release([mine])
    await ports.add([31000])
    repair = ClaimRepair(claims, ports, api.core.cache, RANGE)
    await repair.repair()
    assert await ports.used() == {mine, 31000}
    await repair.repair()
    assert await ports.used() == {mine}


async def test_a_full_range_is_said_to_be_full() -> None:
    small = ServiceRange(ipaddress.ip_network("127.9.0.0/29"))
    assert [small.holds(f"127.9.0.{n}") for n in (0, 1, 6, 7)] == [False, True, True, False]


async def test_a_cluster_begins_with_its_namespaces_and_its_own_service(api: Api) -> None:
    namespaces = (await api.get("/api/v1/namespaces")).json["items"]
    assert [one["metadata"]["name"] for one in namespaces] == [
        "default", "kube-node-lease", "kube-public", "kube-system",
    ]  # fmt: skip
    kubernetes = (await api.get(f"{SERVICES}/kubernetes")).json
    assert kubernetes["spec"]["clusterIP"] == "127.9.0.1"
    assert kubernetes["spec"]["ports"][0]["targetPort"] == 6443
    slice_ = (await api.get(f"{SLICES}/kubernetes")).json
    addresses = [one["addresses"][0] for one in slice_["endpoints"]]
    assert addresses == ["127.9.255.1"]
    assert slice_["metadata"]["labels"]["kubernetes.io/service-name"] == "kubernetes"


async def test_a_second_server_finds_everything_and_changes_nothing(api: Api) -> None:
    before = api.storage.revision
    unannounced = replace(CONFIG, advertised=None)
    async with running_api(api.storage, unannounced) as second:
        assert (await second.get("/readyz")).body == b"ok"
    assert api.storage.revision == before


async def test_a_server_waits_for_a_store_that_comes_later() -> None:
    store = MemoryStorage()
    for _ in range(5):
        store.fail_next(storage.Unavailable("no quorum yet"))
    async with running_api(store) as api:
        assert (await api.get("/readyz")).status == 200


async def test_events_die_with_a_shared_lease(api: Api) -> None:
    url = "/api/v1/namespaces/default/events"
    for number in range(3):
        await api.create(
            url,
            {
                "metadata": {"name": f"e{number}"},
                "involvedObject": {"kind": "Pod", "name": "a", "namespace": "default"},
                "reason": "Test",
                "type": "Normal",
            },
        )
    kvs = (await api.storage.list(b"/registry/events/", b"/registry/events0")).kvs
    assert len({kv.lease for kv in kvs}) == 1
    assert kvs[0].lease != 0


async def test_of_two_compactors_one_compacts_a_period_late() -> None:
    store = MemoryStorage()
    await store.put(b"long-ago", b"", expected_revision=0)
    one, two = Compactor(store, 300), Compactor(store, 300)
    for compactor in (one, two):
        await compactor.turn()
    first = (await store.get(KEY)).kv
    assert first is not None
    for number in range(3):
        await store.put(b"k%d" % number, b"", expected_revision=0)
    for compactor in (one, two):
        await compactor.turn()
    with pytest.raises(storage.Compacted) as refused:
        await store.list(b"k", b"l", revision=1)
    assert refused.value.compact_revision == int(first.value)
    assert (await store.list(b"k", b"l", revision=int(first.value))).total == 0
