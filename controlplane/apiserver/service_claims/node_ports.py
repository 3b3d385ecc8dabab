"""Hands out node ports: one bit for each port of a range, in one key of the store.

The key and its value are kube-apiserver's (a RangeAllocation, in JSON here): `data` is a big-endian
number in which bit n stands for the range's port n. Compare-and-swap keeps servers from handing out
a port twice.
"""

import base64
import binascii
from collections.abc import Callable, Collection, Iterable, Sequence
from random import Random

import orjson

from podling.controlplane.apiserver.storage.interface import KeyValue, Storage
from podling.kube import errors

KEY = b"/registry/ranges/servicenodeports"
RANGE = range(30000, 32768)
ATTEMPTS = 16


#: The bits before to the bits after.
Change = Callable[[int], int]


class PortTaken(Exception):
    """A port that was asked for belongs to another Service."""

    def __init__(self, port: int) -> None:
        super().__init__(f"provided port is already allocated: {port}")
        self.port = port


class NodePorts:
    """The ports in use."""

    def __init__(self, storage: Storage, dice: Random) -> None:
        self._storage = storage
        self._dice = dice

    async def take(self, wanted: Collection[int], count: int) -> list[int]:
        """Take the wanted ports, and `count` others, which are returned.

        Raises PortTaken, or errors.InternalError if the range is full.
        """
        drawn: list[int] = []

        def change(used: int) -> int:
            for port in wanted:
                if used & _bit(port):
                    raise PortTaken(port)
            for port in wanted:
                used |= _bit(port)
            drawn[:] = self._draw(used, count)
            return _with(used, drawn)

        await self._change(change)
        return drawn

    async def release(self, ports: Iterable[int]) -> None:
        gone = _with(0, ports)
        if gone:
            await self._change(lambda used: used & ~gone)

    async def used(self) -> set[int]:
        used = _used((await self._storage.get(KEY)).kv)
        return {port for port in RANGE if used & _bit(port)}

    async def add(self, ports: Iterable[int]) -> None:
        """Note ports as used, whoever has them."""
        await self._change(lambda used: _with(used, ports))

    def _draw(self, used: int, count: int) -> Sequence[int]:
        if not count:
            return []
        free = [port for port in RANGE if not used & _bit(port)]
        if len(free) < count:
            raise errors.InternalError(
                f"failed to allocate a nodePort: the range {RANGE[0]}-{RANGE[-1]} is full"
            )
        return self._dice.sample(free, count)

    async def _change(self, change: Change) -> None:
        current = (await self._storage.get(KEY)).kv
        for _ in range(ATTEMPTS):
            used = _used(current)
            changed = change(used)
            if changed == used:
                return
            expected = current.mod_revision if current else 0
            result = await self._storage.put(KEY, _encode(changed), expected_revision=expected)
            if result.succeeded:
                return
            current = result.current
        raise errors.TooManyRequests("node ports are being handed out elsewhere, try again")


def _bit(port: int) -> int:
    return 1 << (port - RANGE.start)


def _with(used: int, ports: Iterable[int]) -> int:
    for port in ports:
        if port in RANGE:
            used |= _bit(port)
    return used


def _used(kv: KeyValue | None) -> int:
    """The bits in the stored value; none if it cannot be read, which the repair puts right."""
    if kv is None:
        return 0
    try:
        return int.from_bytes(base64.b64decode(orjson.loads(kv.value)["data"]), "big")
    except (ValueError, KeyError, TypeError, binascii.Error):
        return 0


def _encode(used: int) -> bytes:
    data = used.to_bytes((used.bit_length() + 7) // 8, "big")
    return orjson.dumps(
        {
            "kind": "RangeAllocation",
            "apiVersion": "v1",
            "metadata": {},
            "range": f"{RANGE[0]}-{RANGE[-1]}",
            "data": base64.b64encode(data).decode(),
        }
    )
