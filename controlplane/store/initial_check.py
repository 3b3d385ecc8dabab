"""A member that starts compares its keys with those of the others before it serves clients.

etcd: server/etcdserver/corrupt.go, InitialCheck (--experimental-initial-corrupt-check). A member
that differs does not start, so that nobody reads from it what is wrong. Whom it cannot ask it does
not wait for, and what was compacted in between it cannot compare: as in etcd both are only said.
"""

import asyncio
import contextlib
import logging
from typing import Protocol

from google.protobuf.message import DecodeError

from podling.controlplane.etcdpb import rpc_pb2
from podling.controlplane.replica.transport import Answering, NoAnswer
from podling.controlplane.store import errors
from podling.controlplane.store import requests as rq
from podling.controlplane.store.store import Store

log = logging.getLogger(__name__)

ANSWER_SECONDS = 30.0
"""How long a peer may take; it reads all its keys."""


class InconsistentData(Exception):
    """This member's keys are not those of the others."""


class Peers(Protocol):
    """The way to the other members."""

    async def ask(self, peer: int, question: bytes, timeout: float) -> bytes:
        """What that member's `answering` says. Raises NoAnswer."""


def answering(store: Store) -> Answering:
    """What a member tells those that start."""

    async def answer(question: bytes) -> bytes:
        try:
            request = rpc_pb2.HashKVRequest.FromString(question)
            if request.revision > store.revision:
                await store.linearize()
            own = await store.hash_kv(request.revision)
        except (errors.StoreError, DecodeError) as error:
            raise NoAnswer(str(error)) from error
        return rpc_pb2.HashKVResponse(
            hash=own.hash, compact_revision=own.compact_revision
        ).SerializeToString()

    return answer


class InitialCheck:
    """A component; started after the store, and before what serves clients."""

    name = "initial-corrupt-check"

    def __init__(self, store: Store, peers: Peers) -> None:
        self._store = store
        self._peers = peers

    async def start(self) -> None:
        """Raises InconsistentData."""
        # What is on disk may be known to be committed only later. Without a quorum it is compared
        # as far as it is.
        with contextlib.suppress(errors.StoreError):
            await self._store.linearize()
        own = await self._store.hash_kv(0)
        others = self._store.members.others
        differing = await asyncio.gather(*(self._differs(own, peer) for peer in others))
        if any(differing):
            named = zip(others, differing, strict=True)
            names = " and ".join(f"{peer:x}" for peer, differs in named if differs)
            raise InconsistentData(
                f"found data inconsistency with peers: at revision {own.hash_revision} the keys of "
                f"this member are not those of {names}. If those are right, remove this one, and "
                "add a new one with an empty data directory"
            )
        log.info(
            "the keys at revision %d, compared with %d of %d other members, do not differ",
            own.hash_revision, len(others) - differing.count(None), len(others),
        )  # fmt: skip

    async def stop(self) -> None:
        """There is nothing to give back."""

    async def _differs(self, own: rq.HashKVResponse, peer: int) -> bool | None:
        """None: they could not be compared, which has been said."""
        question = rpc_pb2.HashKVRequest(revision=own.hash_revision).SerializeToString()
        try:
            answer = await self._peers.ask(peer, question, ANSWER_SECONDS)
            theirs = rpc_pb2.HashKVResponse.FromString(answer)
        except (NoAnswer, DecodeError) as error:
            log.warning("could not compare with member %x: %s", peer, error)
            return None
        if theirs.compact_revision != own.compact_revision:
            log.warning(
                "could not compare with member %x: its history was compacted at revision %d, and "
                "here at %d", peer, theirs.compact_revision, own.compact_revision,
            )  # fmt: skip
            return None
        return theirs.hash != own.hash
