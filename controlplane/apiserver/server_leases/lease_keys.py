"""The keys by which API servers tell the store that they live. Pure.

    /registry/masterleases/10.0.0.1:6443      this server
    /registry/masterleases/[fd00::1]:6443     the same with an IPv6 address
    /registry/masterleases/10.0.0.1           a kube-apiserver, which has one for an IP address

kube-apiserver takes it that all servers of a cluster have one port and an address each. Several of
ours may well be on one machine, so their keys have the port too. Both kinds of key can be under one
prefix: kube-apiserver never looks at a key's name, but at the value, which is an Endpoints object.
"""

import ipaddress
from dataclasses import dataclass

import orjson

PREFIX, END = b"/registry/masterleases/", b"/registry/masterleases0"
PORT_MAX = 0xFFFF


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """Where one API server can be reached."""

    address: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"


def key(endpoint: Endpoint) -> bytes:
    return PREFIX + str(endpoint).encode()


def value(endpoint: Endpoint, uid: str) -> bytes:
    """What kube-apiserver can read; `uid` tells this life of the server from another."""
    return orjson.dumps(
        {
            "kind": "Endpoints",
            "apiVersion": "v1",
            "metadata": {"name": str(endpoint), "uid": uid},
            "subsets": [
                {
                    "addresses": [{"ip": endpoint.address}],
                    "ports": [{"name": "https", "port": endpoint.port, "protocol": "TCP"}],
                }
            ],
        }
    )


def parse(found: bytes, port: int) -> Endpoint | None:
    """Whose key it is; `port` is for those that tell none. None: no API server's."""
    name = found.removeprefix(PREFIX).decode(errors="replace")
    try:
        return Endpoint(str(ipaddress.ip_address(name)), port)
    except ValueError:
        pass
    host, _, number = name.rpartition(":")
    try:
        endpoint = Endpoint(str(ipaddress.ip_address(host.strip("[]"))), int(number))
    except ValueError:
        return None
    return endpoint if 0 < endpoint.port <= PORT_MAX else None
