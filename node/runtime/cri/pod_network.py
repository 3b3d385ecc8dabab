"""Where pods get their addresses: a seam, so that other networks can stand here.

`LoopbackNetwork` needs no set-up and no privilege: Linux answers on all of 127.0.0.0/8, so a pod's
address is merely a free one of the node's range.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Protocol


class NetworkError(Exception):
    """No address can be had; the text is for people."""


class PodNetwork(Protocol):
    """Gives sandboxes their addresses and takes them back."""

    @property
    def trouble(self) -> str:
        """Why no pod can be attached now, for people; empty when it can."""

    def configure(self, cidrs: Sequence[str]) -> None:
        """The node's ranges; sandboxes that have addresses keep them. Raises NetworkError."""

    def restore(self, addresses: Mapping[str, Sequence[str]]) -> None:
        """What sandboxes (by id) had before this process started."""

    async def attach(self, sandbox_id: str) -> tuple[str, ...]:
        """Addresses for a new sandbox, the main one first. Raises NetworkError."""

    async def detach(self, sandbox_id: str) -> None:
        """Take them back; an unknown sandbox is no error."""


class LoopbackNetwork:
    """Addresses of the loopback device, handed out in turn so that one rests before it is reused.

    The first address of the range is the network's name, the next the node's own, the last the
    broadcast address: a /24 holds 253 pods.
    """

    def __init__(self, cidrs: Sequence[str] = ()) -> None:
        self._ranges: list[ipaddress.IPv4Network] = []
        self._held: dict[str, tuple[str, ...]] = {}
        self._last: list[int] = []
        """Offset of the address given out last, for each range."""
        self.configure(cidrs)

    @property
    def trouble(self) -> str:
        return "" if self._ranges else "the node has no pod address range (podCIDR) yet"

    def configure(self, cidrs: Sequence[str]) -> None:
        ranges = [_parse(cidr) for cidr in cidrs if cidr]
        if ranges != self._ranges:
            self._ranges = ranges
            self._last = [1] * len(ranges)

    def restore(self, addresses: Mapping[str, Sequence[str]]) -> None:
        self._held.update({sandbox: tuple(held) for sandbox, held in addresses.items() if held})
        used = {address for held in self._held.values() for address in held}
        for number, network in enumerate(self._ranges):
            first = int(network.network_address)
            offsets = [
                int(ipaddress.IPv4Address(address)) - first
                for address in used
                if ipaddress.IPv4Address(address) in network
            ]
            self._last[number] = max(offsets, default=1)

    async def attach(self, sandbox_id: str) -> tuple[str, ...]:
        if self.trouble:
            raise NetworkError(self.trouble)
        if sandbox_id not in self._held:
            used = {address for held in self._held.values() for address in held}
            self._held[sandbox_id] = tuple(
                self._next(number, used) for number in range(len(self._ranges))
            )
        return self._held[sandbox_id]

    async def detach(self, sandbox_id: str) -> None:
        self._held.pop(sandbox_id, None)

    def _next(self, number: int, used: set[str]) -> str:
        network = self._ranges[number]
        usable = network.num_addresses - 3
        for step in range(1, usable + 1):
            offset = 2 + (self._last[number] - 2 + step) % usable
            address = str(network.network_address + offset)
            if address not in used:
                self._last[number] = offset
                return address
        raise NetworkError(f"all {usable} pod addresses of {network} are in use")


def _parse(cidr: str) -> ipaddress.IPv4Network:
    try:
        network = ipaddress.IPv4Network(cidr.strip())
    except ValueError as error:
        raise NetworkError(f"pod address range {cidr!r} is not an IPv4 range: {error}") from None
    if not network.is_loopback:
        raise NetworkError(f"pod address range {cidr} is not below 127.0.0.0/8: loopback mode")
    if network.num_addresses < 8:
        raise NetworkError(f"pod address range {cidr} is too small: /29 is the least")
    return network
