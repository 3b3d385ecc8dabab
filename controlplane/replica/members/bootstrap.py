"""Ids of a cluster that starts, as etcd derives them, so that all who are told the same agree.

Source: etcd, server/etcdserver/api/membership (computeMemberId, genID).
"""

import hashlib
from collections.abc import Iterable


def member_id_of(peer_urls: Iterable[str], token: str) -> int:
    """The id of a member that has these peer URLs in the cluster begun with `token`."""
    return _number("".join(sorted(peer_urls)).encode() + token.encode())


def cluster_id_of(member_ids: Iterable[int]) -> int:
    """The id of the cluster that begins with these members."""
    return _number(b"".join(each.to_bytes(8, "big") for each in sorted(member_ids)))


def _number(data: bytes) -> int:
    return int.from_bytes(hashlib.sha1(data, usedforsecurity=False).digest()[:8], "big")
