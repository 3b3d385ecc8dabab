from random import Random
from typing import Any

import pytest

from podling.controlplane.controllers import endpoints
from podling.controlplane.controllers.endpointslice import SlicePlan, plan_slices
from podling.kube import meta
from podling.kube.meta import Object
from tests.controlplane.controllers.objects import metadata, pod, service, uid


def plan(obj: Object, pods: list[Object], slices: list[Object], capacity: int = 100) -> SlicePlan:
    return plan_slices(obj, pods, slices, {"node-1": "zone-a"}, capacity, Random(1))


def stored(made: Object) -> Object:
    """As the API server gives a created slice back."""
    return {**made, "metadata": {**metadata(meta.name(made)), **made["metadata"], "uid": uid()}}


def addresses(obj: Object) -> list[str]:
    return [endpoint["addresses"][0] for endpoint in obj["endpoints"]]


@pytest.mark.parametrize(
    ("fields", "spec", "expected"),
    [
        ({}, {}, (True, True, False)),
        ({"ready": False}, {}, (False, False, False)),
        ({"deleting": True}, {}, (False, True, True)),
        ({"ready": False}, {"publishNotReadyAddresses": True}, (True, False, False)),
    ],
)
def test_an_endpoint_says_in_what_state_it_is(
    fields: dict[str, Any], spec: Object, expected: tuple[bool, bool, bool]
) -> None:
    [made] = plan(service(**spec), [pod(**fields)], []).create
    [endpoint] = made["endpoints"]
    state = endpoint["conditions"]
    assert (state["ready"], state["serving"], state["terminating"]) == expected
    assert (endpoint["nodeName"], endpoint["zone"]) == ("node-1", "zone-a")
    assert endpoint["targetRef"]["kind"] == "Pod"


def test_a_slice_is_found_by_its_labels_and_owner() -> None:
    web = service()
    web["metadata"]["labels"] = {"team": "a"}
    [made] = plan(web, [pod()], []).create
    assert meta.labels(made) == {
        "team": "a",
        "kubernetes.io/service-name": "web",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    assert meta.is_controlled_by(made, web)
    assert made["addressType"] == "IPv4"
    assert made["ports"] == [{"name": "http", "protocol": "TCP", "port": 8080}]


@pytest.mark.parametrize(
    "unwanted", [pod(address=""), pod(phase="Succeeded"), pod(phase="Failed"), pod(address="::1")]
)
def test_who_cannot_be_reached_is_no_endpoint(unwanted: Object) -> None:
    [made] = plan(service(), [unwanted], []).create
    assert made["endpoints"] == []


def test_nothing_to_do_is_nothing_done() -> None:
    web, pods = service(), [pod("a", address="10.0.0.1"), pod("b", address="10.0.0.2")]
    existing = [stored(made) for made in plan(web, pods, []).create]
    assert plan(web, pods, existing) == SlicePlan()


def test_changes_stay_in_the_slice_where_they_are() -> None:
    web = service()
    pods = [pod(f"p{n}", address=f"10.0.0.{n}") for n in range(5)]
    first = [stored(made) for made in plan(web, pods, [], capacity=3).create]
    assert [len(made["endpoints"]) for made in first] == [3, 2]
    gone = plan(web, pods[1:], first, capacity=3)
    assert [addresses(one) for one in gone.update] == [["10.0.0.1", "10.0.0.2"]]
    assert (gone.create, gone.delete) == ([], [])
    more = plan(web, [*pods, pod("new", address="10.0.0.9")], first, capacity=3)
    assert [addresses(one) for one in more.update] == [["10.0.0.3", "10.0.0.4", "10.0.0.9"]]
    assert more.create == []


def test_the_last_slice_stays_when_it_is_empty_and_others_go() -> None:
    web = service()
    pods = [pod(f"p{n}", address=f"10.0.0.{n}") for n in range(4)]
    existing = [stored(made) for made in plan(web, pods, [], capacity=2).create]
    emptied = plan(web, [], existing, capacity=2)
    assert [addresses(one) for one in emptied.update] == [[]]
    assert len(emptied.delete) == 1
    assert emptied.create == []


def test_a_port_by_name_is_each_pods_own() -> None:
    def serving(name: str, address: str, number: int) -> Object:
        ports = [{"name": "web", "containerPort": number, "protocol": "TCP"}]
        container = {"name": "main", "image": "i", "ports": ports}
        return pod(name, address=address, containers=[container])

    web = service(ports=[{"name": "http", "port": 80, "targetPort": "web"}])
    pods = [serving("a", "10.0.0.1", 8080), serving("b", "10.0.0.2", 9090)]
    made = plan(web, pods, []).create
    assert {one["ports"][0]["port"]: addresses(one) for one in made} == {
        8080: ["10.0.0.1"],
        9090: ["10.0.0.2"],
    }


def test_several_ports_share_a_slice() -> None:
    ports = [
        {"name": "a", "port": 80, "targetPort": 8080},
        {"name": "b", "port": 53, "protocol": "UDP"},
    ]
    [made] = plan(service(ports=ports), [pod()], []).create
    assert made["ports"] == [
        {"name": "a", "protocol": "TCP", "port": 8080},
        {"name": "b", "protocol": "UDP", "port": 53},
    ]
    assert endpoints.ports_of(made) == (("a", "TCP", 8080, ""), ("b", "UDP", 53, ""))


def test_a_headless_service_is_marked_and_knows_host_names() -> None:
    web = service(clusterIP="None", ports=[])
    [made] = plan(web, [pod(hostname="first", subdomain="web")], []).create
    assert meta.labels(made)["service.kubernetes.io/headless"] == ""
    assert made["endpoints"][0]["hostname"] == "first"
    assert made["ports"] == []


@pytest.mark.parametrize("spec", [{"selector": {}}, {"type": "ExternalName"}])
def test_without_a_selector_nothing_is_managed(spec: Object) -> None:
    existing = [stored(made) for made in plan(service(), [pod()], []).create]
    found = plan(service(**spec), [pod()], existing)
    assert (found.create, found.update, found.delete) == ([], [], existing)
