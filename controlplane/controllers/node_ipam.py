"""Node IPAM: every node gets a part of the cluster's range for its pods."""

from collections.abc import Collection
from ipaddress import IPv4Network, IPv6Network, ip_network

from podling.controlplane.controllers.context import ControllerContext
from podling.controlplane.controllers.relations import Subscriptions
from podling.kube import kinds, meta
from podling.kube.event_recorder import WARNING
from podling.kube.meta import Object
from podling.kube.reconciler import DONE, Reconciler, Result

Network = IPv4Network | IPv6Network


class Range:
    """The cluster's range, cut into parts of equal size."""

    def __init__(self, network: str, part_prefix: int) -> None:
        """`part_prefix`: length of the prefix of one part. Raises ValueError."""
        self._network: Network = ip_network(network)
        self._prefix = part_prefix
        if not self._network.prefixlen <= part_prefix <= self._network.max_prefixlen:
            raise ValueError(f"{network} has no parts with a prefix of {part_prefix} bits")

    @property
    def count(self) -> int:
        return 1 << (self._prefix - self._network.prefixlen)

    def part(self, index: int) -> str:
        size = 1 << (self._network.max_prefixlen - self._prefix)
        first = self._network.network_address + index * size
        return f"{first}/{self._prefix}"


def plan_network(range_: Range, node: str, taken: Collection[str]) -> str | None:
    """A part for a node: the one of the number that its name ends with, or the first free one.

    Part 0 comes last, so that `node-1`, `node-2` … have the parts that people expect even if they
    come in another order. None: there is none left.
    """
    digits = node[len(node.rstrip("0123456789")) :]
    preferred = [int(digits)] if digits and 0 < int(digits) < range_.count else []
    used = set(taken)
    for index in (*preferred, *range(1, range_.count), 0):
        part = range_.part(index)
        if part not in used:
            return part
    return None


class NodeIpamController:
    """Reconciles the names of nodes, one at a time."""

    name = "node-ipam"

    def __init__(self, context: ControllerContext, range_: Range) -> None:
        self._context = context
        self._range = range_
        self._nodes = context.informers.informer(kinds.NODE)
        #: Given out, though the cache may not show it yet; node -> part.
        self._given: dict[str, str] = {}
        self._reconciler = Reconciler(self.name, self._reconcile, context.backoff())
        self._subscriptions = Subscriptions()

    async def start(self) -> None:
        await self._subscriptions.add(self._nodes, self._reconciler.enqueue)
        await self._reconciler.start()

    async def stop(self) -> None:
        self._subscriptions.end()
        await self._reconciler.stop()

    async def _reconcile(self, key: str) -> Result:
        node = self._nodes.get(key)
        if node is None:
            self._given.pop(key, None)
            return DONE
        if (node.get("spec") or {}).get("podCIDR"):
            return DONE
        taken = [part for name, part in self._given.items() if name != key]
        for other in self._nodes.objects():
            if meta.name(other) != key:
                taken += (other.get("spec") or {}).get("podCIDRs") or ()
        part = self._given.get(key) or plan_network(self._range, key, taken)
        if part is None:
            text = f"Node {key} has no pod network: all {self._range.count} are taken"
            self._context.recorder.event(node, WARNING, "CIDRNotAvailable", text)
            return DONE
        self._given[key] = part
        await self._assign(node, part)
        return DONE

    async def _assign(self, node: Object, part: str) -> None:
        spec = {"podCIDR": part, "podCIDRs": [part]}
        patch = {"metadata": {"uid": meta.uid(node)}, "spec": spec}
        await self._context.client.patch(kinds.NODE, meta.name(node), patch)
