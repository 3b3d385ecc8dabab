import copy

import pytest

from podling.controlplane.apiserver.strategies import (
    STRATEGIES,
    StrategyConfig,
    build_strategies,
)
from podling.controlplane.apiserver.strategies.strategy import WriteContext
from podling.kube import kinds
from podling.kube.meta import Object
from tests.controlplane.apiserver.strategies.objects import plain, service

strategy = STRATEGIES[kinds.SERVICE]
NOW = WriteContext(now=0.0)


def created(obj: Object) -> Object:
    strategy.default(obj)
    strategy.prepare_create(obj, NOW)
    return obj


def test_a_minimal_service_gets_its_defaults() -> None:
    made = created(service())
    assert made["spec"] == {
        "selector": {"app": "web"},
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
        "type": "ClusterIP",
        "sessionAffinity": "None",
        "internalTrafficPolicy": "Cluster",
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
    }
    assert made["status"] == {"loadBalancer": {}}


def test_client_affinity_lasts_three_hours_by_default() -> None:
    spec = created(service(sessionAffinity="ClientIP"))["spec"]
    assert spec["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, []),
        ({"ports": []}, ["spec.ports: Required value"]),
        ({"ports": [], "clusterIP": "None"}, []),
        (
            {"ports": [{"port": 80}, {"port": 81}]},
            ["spec.ports[0].name: Required value", "spec.ports[1].name: Required value"],
        ),
        (
            {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 80}]},
            ['spec.ports[1]: Duplicate value: {"protocol":"TCP","port":80}'],
        ),
        (
            {"ports": [{"port": 80, "nodePort": 30000}]},
            ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
        ),
        (
            {"type": "Other"},
            [
                'spec.type: Unsupported value: "Other": supported values: '
                '"ClusterIP", "ExternalName", "LoadBalancer", "NodePort"'
            ],
        ),
        ({"type": "ExternalName", "ports": []}, ["spec.externalName: Required value"]),
        (
            {"clusterIP": "nowhere"},
            [
                'spec.clusterIPs[0]: Invalid value: "nowhere": must be a valid IP address, '
                "(e.g. 10.9.8.7 or 2001:db8::ffff)"
            ],
        ),
    ],
)
def test_mistakes_are_named_with_their_path(spec: Object, expected: list[str]) -> None:
    obj = created(service(**spec))
    assert [str(error) for error in strategy.validate(obj)] == expected


def test_a_name_must_be_able_to_become_a_host_name() -> None:
    obj = service()
    obj["metadata"]["name"] = "1st"
    [error] = strategy.validate(created(obj))
    assert "DNS-1035" in error.message


def test_an_update_that_leaves_out_what_was_allocated_keeps_it() -> None:
    old = created(service(type="NodePort", clusterIP="10.0.0.9"))
    old["spec"]["ports"][0]["nodePort"] = 30001
    new = service(type="NodePort")
    strategy.default(new)
    strategy.prepare_update(new, old, NOW)
    assert new["spec"]["clusterIPs"] == ["10.0.0.9"]
    assert new["spec"]["ports"][0]["nodePort"] == 30001
    assert strategy.validate_update(new, old) == []


def test_the_cluster_address_never_changes() -> None:
    old = created(service(clusterIP="10.0.0.9"))
    new = created(service(clusterIP="10.0.0.8"))
    [error] = strategy.validate_update(new, old)
    assert str(error).endswith("may not change once set")


def test_a_service_that_becomes_an_external_name_gives_its_address_back() -> None:
    old = created(service(clusterIP="10.0.0.9"))
    new = copy.deepcopy(old)
    new["spec"] |= {"type": "ExternalName", "externalName": "example.com"}
    strategy.default(new)
    strategy.prepare_update(new, old, NOW)
    assert "clusterIP" not in new["spec"]
    assert strategy.validate_update(new, old) == []


def slice_of(address: str) -> Object:
    obj = plain("EndpointSlice", addressType="IPv4", endpoints=[{"addresses": [address]}])
    obj["ports"] = [{"port": 80}]
    return obj


def test_loopback_endpoints_are_for_the_loopback_network() -> None:
    loopback = slice_of("127.1.64.2")
    strict = build_strategies(StrategyConfig(allow_loopback_endpoints=False))
    for strategies, count in ((STRATEGIES, 0), (strict, 1)):
        slices = strategies[kinds.ENDPOINT_SLICE]
        slices.default(loopback)
        assert len(slices.validate(loopback)) == count
    assert loopback["ports"] == [{"port": 80, "name": "", "protocol": "TCP"}]


def test_endpoints_are_addresses_of_the_slices_family() -> None:
    slices = STRATEGIES[kinds.ENDPOINT_SLICE]
    for address in ("::1", "web", "0.0.0.0"):
        [error] = slices.validate(slice_of(address) | {"ports": []})
        assert error.field == "endpoints[0].addresses[0]"
