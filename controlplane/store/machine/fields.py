"""Single values as bytes, in the younger formats of the machine.

number = i72                     room for both kinds of numbers in etcd's messages, u64 and i64
text   = length:u32 UTF-8
bytes  = length:u32 data
"""

import struct
from typing import Any

_LENGTH = struct.Struct(">I")
_NUMBER_SIZE = 9


def write(*values: str | bytes | int) -> bytes:
    """The values, one behind the other."""
    return b"".join(map(_write, values))


def read(data: bytes, at: int, kind: type) -> tuple[Any, int]:
    """The value of `kind` (str, bytes, or a kind of int) at `at`, and where it ends.

    Raises struct.error and ValueError if it is damaged.
    """
    if kind in (str, bytes):
        (size,) = _LENGTH.unpack_from(data, at)
        piece, at = _take(data, at + _LENGTH.size, size)
        return piece.decode() if kind is str else piece, at
    piece, at = _take(data, at, _NUMBER_SIZE)
    return kind(int.from_bytes(piece, "big", signed=True)), at


def _write(value: str | bytes | int) -> bytes:
    if isinstance(value, int):
        return value.to_bytes(_NUMBER_SIZE, "big", signed=True)
    data = value.encode() if isinstance(value, str) else value
    return _LENGTH.pack(len(data)) + data


def _take(data: bytes, at: int, size: int) -> tuple[bytes, int]:
    if at + size > len(data):
        raise ValueError("cut short")
    return data[at : at + size], at + size
