"""The Maintenance service."""

import asyncio
import hashlib
import itertools
from collections.abc import AsyncIterator, Iterator

from podling.controlplane.etcdpb import rpc_pb2
from podling.controlplane.store import errors
from podling.controlplane.store import requests as rq
from podling.controlplane.store.etcd.caller import Caller
from podling.controlplane.store.etcd.callers_store import check_admin, check_known, identity_of
from podling.controlplane.store.etcd.messages import ResponseWriter
from podling.controlplane.store.store import Store
from podling.controlplane.store.version import STORAGE_VERSION, VERSION

PIECE_BYTES = 64 * 1024
"""Of a snapshot, in one message."""

PADDED_TO = 512
"""The size of a snapshot without its hash is a multiple of this, as that of etcd's is."""

SNAPSHOT_PATIENCE = 60.0
"""Seconds without a byte read after which a snapshot is given up."""


class MaintenanceService:
    """etcdserverpb.Maintenance"""

    def __init__(
        self,
        store: Store,
        writer: ResponseWriter,
        *,
        snapshot_patience: float = SNAPSHOT_PATIENCE,
    ) -> None:
        self._store = store
        self._writer = writer
        self._snapshot_patience = snapshot_patience

    async def alarm(self, request: rpc_pb2.AlarmRequest, caller: Caller) -> rpc_pb2.AlarmResponse:
        try:
            action, kind = rq.AlarmAction(request.action), rq.AlarmType(request.alarm)
        except ValueError:
            # What is unknown is not raised; as in etcd, nothing happens.
            return rpc_pb2.AlarmResponse(header=self._writer.header(self._store.revision))
        asked = rq.AlarmRequest(action, request.memberID, kind)
        user = await identity_of(self._store, caller)
        answer = await self._store.alarms.handle(asked, user=user)
        header = self._writer.header(answer.revision)
        return rpc_pb2.AlarmResponse(header=header, alarms=map(_alarm, answer.alarms))

    async def status(
        self, request: rpc_pb2.StatusRequest, caller: Caller
    ) -> rpc_pb2.StatusResponse:
        """For every user: kube-apiserver, which is not root, learns from it what it may ask for."""
        await check_known(self._store, caller)
        status = self._store.status()
        replica = status.replica
        return rpc_pb2.StatusResponse(
            header=self._writer.header(status.revision),
            version=VERSION,
            dbSize=status.size,
            leader=replica.leader_id,
            raftIndex=replica.commit_index,
            raftTerm=replica.term,
            raftAppliedIndex=replica.applied_index,
            errors=self._wrong(replica.leader_id),
            dbSizeInUse=status.size,
            isLearner=self._store.members.is_learner,
            storageVersion=STORAGE_VERSION,
            dbSizeQuota=status.quota,
        )

    async def defragment(
        self, request: rpc_pb2.DefragmentRequest, caller: Caller
    ) -> rpc_pb2.DefragmentResponse:
        """Memory needs none."""
        await check_admin(self._store, caller)
        return rpc_pb2.DefragmentResponse(header=self._writer.header(self._store.revision))

    async def hash(self, request: rpc_pb2.HashRequest, caller: Caller) -> rpc_pb2.HashResponse:
        await check_admin(self._store, caller)
        answer = await self._store.hash_kv(0)
        return rpc_pb2.HashResponse(header=self._writer.header(answer.revision), hash=answer.hash)

    async def hash_kv(
        self, request: rpc_pb2.HashKVRequest, caller: Caller
    ) -> rpc_pb2.HashKVResponse:
        await check_admin(self._store, caller)
        answer = await self._store.hash_kv(request.revision)
        return rpc_pb2.HashKVResponse(
            header=self._writer.header(answer.revision),
            hash=answer.hash,
            compact_revision=answer.compact_revision,
            hash_revision=answer.hash_revision,
        )

    async def move_leader(
        self, request: rpc_pb2.MoveLeaderRequest, caller: Caller
    ) -> rpc_pb2.MoveLeaderResponse:
        """Raises NotLeader: as in etcd only the leader is asked."""
        await check_admin(self._store, caller)
        if not self._store.status().replica.is_leader:
            raise errors.NotLeader
        if request.targetID in self._store.members.now.learners:
            raise errors.BadLeaderTransferee
        await self._store.move_leader(request.targetID)
        return rpc_pb2.MoveLeaderResponse(header=self._writer.header(self._store.revision))

    async def snapshot(
        self, request: rpc_pb2.SnapshotRequest, caller: Caller
    ) -> AsyncIterator[rpc_pb2.SnapshotResponse]:
        """All of the store at one revision in pieces, padded with zeros, and then the SHA-256 of
        them. etcdctl knows by the size of the whole whether the hash is there."""
        await check_admin(self._store, caller)
        size, chunks = await self._store.snapshot()
        padding = bytes(-size % PADDED_TO)
        unread = _Unread(itertools.chain(chunks, [padding]), self._snapshot_patience)
        del chunks
        digest, remaining = hashlib.sha256(), size + len(padding)
        try:
            for chunk in unread:
                for at in range(0, len(chunk), PIECE_BYTES):
                    piece = chunk[at : at + PIECE_BYTES]
                    digest.update(piece)
                    remaining -= len(piece)
                    yield _piece(piece, remaining)
        finally:
            unread.close()
        yield _piece(digest.digest(), 0)

    def _wrong(self, leader: int) -> list[str]:
        """What etcdctl shows as errors of a member; alarms in the text form of their messages."""
        alarms = [
            f"memberID:{each.member_id} alarm:{each.type.name} "
            for each in self._store.alarms.raised()
        ]
        return [*([] if leader else [errors.NoLeader.text]), *alarms]


class _Unread:
    """What is left of a snapshot. Until it is read or dropped no compacted history is freed, so it
    is dropped when nobody reads on for `patience` seconds."""

    def __init__(self, chunks: Iterator[bytes], patience: float) -> None:
        self._chunks: Iterator[bytes] | None = chunks
        self._patience = patience
        self._timer: asyncio.TimerHandle | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        """Raises Timeout if it was dropped."""
        if self._timer is not None:
            self._timer.cancel()
        if self._chunks is None:
            raise errors.Timeout
        chunk = next(self._chunks)
        self._timer = asyncio.get_running_loop().call_later(self._patience, self.close)
        return chunk

    def close(self) -> None:
        self._chunks = None
        if self._timer is not None:
            self._timer.cancel()


def _piece(blob: bytes, remaining: int) -> rpc_pb2.SnapshotResponse:
    return rpc_pb2.SnapshotResponse(remaining_bytes=remaining, blob=blob, version=STORAGE_VERSION)


def _alarm(alarm: rq.Alarm) -> rpc_pb2.AlarmMember:
    kind = rpc_pb2.AlarmType.ValueType(alarm.type)
    return rpc_pb2.AlarmMember(memberID=alarm.member_id, alarm=kind)
