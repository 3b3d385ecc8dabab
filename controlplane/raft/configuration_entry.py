"""A configuration as bytes: the data of a CONFIGURATION entry, and part of a snapshot's name. Pure.

    version  counts of voters, outgoing, learners  length of context  member ids, sorted  context
    1 byte   2 bytes each                          4 bytes            8 bytes each

All little-endian. What has another version than this program knows is refused by name.
"""

import struct
from collections.abc import Sequence
from itertools import islice

from podling.controlplane.raft.quorum import Configuration

VERSION = 1

_HEAD = struct.Struct("<BHHHI")


class UnknownConfiguration(ValueError):
    """Bytes that are no configuration, or one that a newer program wrote."""


def encode(configuration: Configuration) -> bytes:
    """The same bytes for equal configurations, everywhere."""
    groups = [configuration.voters, configuration.outgoing, configuration.learners]
    members = [member for group in groups for member in sorted(group)]
    head = _HEAD.pack(VERSION, *map(len, groups), len(configuration.context))
    return head + struct.pack(f"<{len(members)}Q", *members) + configuration.context


def decode(data: bytes) -> Configuration:
    """Raises UnknownConfiguration."""
    try:
        version, *counts, length = _HEAD.unpack_from(data)
        if version != VERSION:
            raise UnknownConfiguration(
                f"a configuration of format {version}, this program knows {VERSION}"
            )
        groups = read_groups(data, _HEAD.size, counts)
    except struct.error as error:
        raise UnknownConfiguration(f"not a configuration: {error}") from error
    context = data[_HEAD.size + 8 * sum(counts) :]
    if len(context) != length:
        raise UnknownConfiguration(
            f"not a configuration: {len(context)} bytes of context instead of {length}"
        )
    return Configuration(*groups, context)


def read_groups(
    data: bytes, at: int, counts: Sequence[int]
) -> tuple[frozenset[int], frozenset[int], frozenset[int]]:
    """Voters, outgoing and learners: so many ids of each begin at `at`. Raises struct.error."""
    members = iter(struct.unpack_from(f"<{sum(counts)}Q", data, at))
    voters, outgoing, learners = (frozenset(islice(members, count)) for count in counts)
    return voters, outgoing, learners
