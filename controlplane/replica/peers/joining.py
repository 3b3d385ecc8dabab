"""How a member that was added finds the cluster, and itself in it, before its first start.

It knows the peer URLs of the others and its own. etcd asks over HTTP (GET /members on a peer URL);
here it is a unary call of the peer protocol.
"""

import asyncio
import logging
from collections.abc import Collection
from typing import NamedTuple

import grpc
import grpc.aio

from podling.controlplane.raftpb import peer_pb2 as pb
from podling.controlplane.raftpb.peer_pb2_grpc import PeerStub
from podling.controlplane.replica.errors import CannotJoin
from podling.controlplane.replica.members.membership import (
    Member,
    Membership,
    UnknownMembership,
    decode,
)
from podling.controlplane.replica.peers.peer_link import reason_of
from podling.controlplane.replica.peers.peer_security import PeerTls, open_channel

log = logging.getLogger(__name__)

CALL_TIMEOUT = 2.0
"""Seconds that one member may take to answer."""
RETRY = 0.2
"""Seconds until all are asked again: whoever answered may not know yet that this one was added."""


class Found(NamedTuple):
    """The cluster that a member is to join."""

    cluster_id: int
    member_id: int
    """Of the one that joins."""
    membership: Membership


async def find_cluster(
    peer_urls: Collection[str],
    own_peer_urls: Collection[str],
    tls: PeerTls | None,
    *,
    timeout: float = 5.0,
) -> Found:
    """Ask those at `peer_urls` for the cluster in which a member has `own_peer_urls`.

    Peers are known by their hosts, if `tls` is given (`PeerTls.by_host`). Raises CannotJoin when
    nobody who has answered within `timeout` seconds knows of that member.
    """
    others = Member("", tuple(url for url in peer_urls if url not in set(own_peer_urls)))
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while True:
        answers = await asyncio.gather(*(_ask(each, tls) for each in others.peer_urls))
        found = [each for each in answers if isinstance(each, Found)]
        newest = max(found, key=lambda each: each.membership.version, default=None)
        if newest is not None and (me := newest.membership.find(own_peer_urls)):
            return newest._replace(member_id=me)
        if loop.time() + RETRY > deadline:
            raise CannotJoin(_why_not(newest, own_peer_urls, others.addresses, answers))
        await asyncio.sleep(RETRY)


async def _ask(url: str, tls: PeerTls | None) -> Found | str:
    """What the member there knows, or why it did not say."""
    try:
        async with open_channel(url, tls) as channel, asyncio.timeout(CALL_TIMEOUT):
            answer = await PeerStub(channel).Members(pb.MembersRequest())
        return Found(answer.cluster_id, 0, decode(answer.membership))
    except (grpc.aio.AioRpcError, TimeoutError, UnknownMembership) as error:
        return reason_of(error)


def _why_not(
    newest: Found | None,
    own: Collection[str],
    addresses: Collection[str],
    answers: Collection[Found | str],
) -> str:
    if newest is None:
        reasons = "; ".join(f"{at}: {why}" for at, why in zip(addresses, answers, strict=True))
        return f"no member of the cluster has answered ({reasons or 'no other peer URL is known'})"
    shown = "; ".join(
        f"{number:x} {member.name or '(not started)'} at {', '.join(member.peer_urls)}"
        for number, member in newest.membership.members.items()
    )
    return (
        f"cluster {newest.cluster_id:x} has no member with the peer URLs {', '.join(sorted(own))}: "
        f"add it first. Its members are {shown}"
    )
