"""Which servers live, and which slices there are: what is written."""

import copy
from collections.abc import Iterable

import pytest

from podling.controlplane.apiserver.server_leases.lease_keys import Endpoint
from podling.controlplane.apiserver.server_leases.slice_plan import (
    Create,
    Remove,
    Replace,
    Write,
    concerns,
    plan,
)
from podling.kube import meta
from podling.kube.meta import Object


def slice_of(name: str, addresses: Iterable[str], port: int, **labels: str) -> Object:
    """As the store has it."""
    found = list(addresses)
    return {
        "metadata": {
            "name": name,
            "resourceVersion": "7",
            "labels": labels or {"kubernetes.io/service-name": "kubernetes"},
        },
        "addressType": "IPv6" if any(":" in address for address in found) else "IPv4",
        "endpoints": [{"addresses": [a], "conditions": {"ready": True}} for a in found],
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
    }


def servers(*texts: str) -> list[Endpoint]:
    """`10.0.0.1:6443`, or the last part of the address alone."""
    found = []
    for text in texts:
        address, _, port = text.rpartition("/")
        found.append(Endpoint(address, int(port)))
    return found


def brief(writes: Iterable[Write]) -> list[str]:
    """`Create kubernetes 6443: 10.0.0.1 10.0.0.2`"""
    told = []
    for write in writes:
        obj = write.obj
        text = f"{type(write).__name__} {meta.name(obj)}"
        if not isinstance(write, Remove):
            addresses = " ".join(each["addresses"][0] for each in obj["endpoints"])
            text += f" {obj['ports'][0]['port']}: {addresses}"
        told.append(text.strip())
    return told


A, B = "10.0.0.1/6443", "10.0.0.2/6443"
OTHER_PORT = "10.0.0.2/6444"
SIX = "fd00::1/6443"


@pytest.mark.parametrize(
    ("living", "slices", "written"),
    [
        pytest.param([A], [], ["Create kubernetes 6443: 10.0.0.1"], id="the first server"),
        pytest.param(
            [A, B],
            [slice_of("kubernetes", ["10.0.0.1"], 6443)],
            ["Replace kubernetes 6443: 10.0.0.1 10.0.0.2"],
            id="a second one",
        ),
        pytest.param(
            [B, A, A],
            [slice_of("kubernetes", ["10.0.0.1", "10.0.0.2"], 6443)],
            [],
            id="nothing new",
        ),
        pytest.param(
            [A],
            [slice_of("kubernetes", ["10.0.0.1", "10.0.0.2"], 6443)],
            ["Replace kubernetes 6443: 10.0.0.1"],
            id="one is dead",
        ),
        pytest.param(
            [OTHER_PORT],
            [slice_of("kubernetes", ["10.0.0.1"], 6443)],
            ["Replace kubernetes 6444: 10.0.0.2"],
            id="the only one is elsewhere now",
        ),
        pytest.param(
            [A, OTHER_PORT],
            [slice_of("kubernetes", ["10.0.0.1"], 6443)],
            ["Create kubernetes-ipv4-6444 6444: 10.0.0.2"],
            id="a second port",
        ),
        pytest.param(
            [A, OTHER_PORT],
            [slice_of("kubernetes", ["10.0.0.2"], 6444)],
            ["Create kubernetes-ipv4-6443 6443: 10.0.0.1"],
            id="the first slice keeps its port, though a lower one comes",
        ),
        pytest.param(
            [OTHER_PORT],
            [
                slice_of("kubernetes", ["10.0.0.1"], 6443),
                slice_of("kubernetes-ipv4-6444", ["10.0.0.2"], 6444),
            ],
            ["Replace kubernetes 6444: 10.0.0.2", "Remove kubernetes-ipv4-6444"],
            id="the last of the first port is dead: there is no moment without the other",
        ),
        pytest.param(
            [A, SIX],
            [slice_of("kubernetes", ["10.0.0.1"], 6443)],
            ["Create kubernetes-ipv6-6443 6443: fd00::1"],
            id="both families",
        ),
        pytest.param(
            [SIX],
            [slice_of("kubernetes", ["10.0.0.1"], 6443)],
            ["Remove kubernetes", "Create kubernetes 6443: fd00::1"],
            id="another family, which a slice cannot change to",
        ),
        pytest.param(
            [A],
            [
                slice_of("kubernetes", ["10.0.0.1"], 6443),
                slice_of("kubernetes-2", ["10.0.0.9"], 6444),
            ],
            ["Remove kubernetes-2"],
            id="a slice of an earlier release",
        ),
        pytest.param(
            [A],
            [
                slice_of("kubernetes", ["10.0.0.1"], 6443),
                slice_of("kubernetes-dashboard-x", ["10.0.9.9"], 80, app="dashboard"),
            ],
            [],
            id="a slice of another Service",
        ),
        pytest.param(
            [],
            [
                slice_of("kubernetes", ["10.0.0.1"], 6443),
                slice_of("kubernetes-ipv4-6444", ["10.0.0.2"], 6444),
            ],
            ["Replace kubernetes 6443:", "Remove kubernetes-ipv4-6444"],
            id="the last server stops",
        ),
        pytest.param([], [], [], id="nobody, and nothing there"),
    ],
)
def test_what_is_written(living: list[str], slices: list[Object], written: list[str]) -> None:
    before = copy.deepcopy(slices)
    writes = plan(servers(*living), slices)
    assert brief(writes) == written
    assert slices == before, "what was read is not changed"

    assert not plan(servers(*living), after(writes, slices)), "then all is said"


def after(writes: Iterable[Write], slices: Iterable[Object]) -> list[Object]:
    there = {meta.name(obj): obj for obj in slices}
    for write in writes:
        match write:
            case Create(obj):
                assert meta.name(obj) not in there
                there[meta.name(obj)] = obj
            case Replace(obj):
                assert meta.name(obj) in there
                there[meta.name(obj)] = obj
            case Remove(obj):
                del there[meta.name(obj)]
    return list(there.values())


def test_a_slice_that_somebody_has_left_without_ports_is_set_right() -> None:
    bare = slice_of("kubernetes", ["10.0.0.1"], 6443)
    del bare["ports"]
    assert brief(plan(servers(A), [bare])) == ["Replace kubernetes 6443: 10.0.0.1"]

    (last,) = plan([], [bare])
    assert last.obj["endpoints"] == []


def test_what_is_replaced_keeps_what_others_have_added_and_its_version() -> None:
    old = slice_of("kubernetes", ["10.0.0.1"], 6443)
    old["metadata"] |= {"labels": {"mine": "x"}, "annotations": {"a": "b"}}
    (write,) = plan(servers(A), [old])
    assert isinstance(write, Replace), "it did not say whose it is"
    assert write.obj["metadata"] == {
        "name": "kubernetes",
        "resourceVersion": "7",
        "labels": {"mine": "x", "kubernetes.io/service-name": "kubernetes"},
        "annotations": {"a": "b"},
    }


@pytest.mark.parametrize(
    ("name", "label", "looked_at"),
    [
        ("kubernetes", "", True),
        ("kubernetes-ipv4-6444", "", True),
        ("made-by-hand", "kubernetes", True),
        ("web-abcde", "web", False),
    ],
)
def test_which_slices_are_looked_at(name: str, label: str, looked_at: bool) -> None:
    assert concerns(name, {"kubernetes.io/service-name": label}) == looked_at
