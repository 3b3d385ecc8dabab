"""Keys of API servers, ours and a kube-apiserver's."""

import orjson
import pytest

from podling.controlplane.apiserver.server_leases import lease_keys
from podling.controlplane.apiserver.server_leases.lease_keys import Endpoint


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [
        (Endpoint("10.0.0.1", 6443), "10.0.0.1:6443"),
        (Endpoint("fd00::1", 6443), "[fd00::1]:6443"),
    ],
)
def test_a_key_tells_address_and_port(endpoint: Endpoint, name: str) -> None:
    key = lease_keys.key(endpoint)
    assert key == b"/registry/masterleases/" + name.encode()
    assert lease_keys.parse(key, 1) == endpoint


@pytest.mark.parametrize("address", ["10.0.0.1", "fd00::1"])
def test_the_key_of_a_kube_apiserver_tells_no_port(address: str) -> None:
    assert lease_keys.parse(lease_keys.PREFIX + address.encode(), 7) == Endpoint(address, 7)


@pytest.mark.parametrize(
    "name", [b"", b"node-1", b"10.0.0.1:", b"10.0.0.1:0", b"10.0.0.1:65536", b":6443", b"\xff:1"]
)
def test_other_keys_are_nobodys(name: bytes) -> None:
    assert lease_keys.parse(lease_keys.PREFIX + name, 6443) is None


def test_a_kube_apiserver_finds_the_address_where_it_looks() -> None:
    obj = orjson.loads(lease_keys.value(Endpoint("10.0.0.1", 6443), "uid"))
    assert (obj["apiVersion"], obj["kind"]) == ("v1", "Endpoints")
    assert obj["subsets"][0]["addresses"][0]["ip"] == "10.0.0.1"
