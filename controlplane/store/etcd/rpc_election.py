"""The Election service (etcd: server/etcdserver/api/v3election)."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from podling.controlplane.etcdpb import election_pb2
from podling.controlplane.store import errors
from podling.controlplane.store.etcd import messages
from podling.controlplane.store.etcd.caller import Caller
from podling.controlplane.store.etcd.callers_store import CallersStore
from podling.controlplane.store.etcd.messages import ResponseWriter
from podling.controlplane.store.etcd.waiting_line import Place, WaitingLine, kept_lease
from podling.controlplane.store.key_values import KeyValue
from podling.controlplane.store.store import Store


class ElectionService:
    """v3electionpb.Election"""

    def __init__(self, store: Store, writer: ResponseWriter) -> None:
        self._store = store
        self._writer = writer

    async def campaign(
        self, request: election_pb2.CampaignRequest, caller: Caller
    ) -> election_pb2.CampaignResponse:
        """Raises LeaseNotFound. The lease is renewed until the caller leads."""
        store = CallersStore(self._store, caller)
        line = WaitingLine(store, request.name)
        async with kept_lease(store, request.lease) as lease:
            place = await line.wait(lease, request.value)
        leader = election_pb2.LeaderKey(
            name=request.name, key=place.key, rev=place.created, lease=lease
        )
        header = self._writer.header(self._store.revision)
        return election_pb2.CampaignResponse(header=header, leader=leader)

    async def proclaim(
        self, request: election_pb2.ProclaimRequest, caller: Caller
    ) -> election_pb2.ProclaimResponse:
        """Raises MissingLeaderKey, and NotElected if the caller leads no more."""
        line, place = self._place(request, caller)
        answer = await line.set(place, request.value, request.leader.lease)
        if not answer.succeeded:
            raise errors.NotElected
        return election_pb2.ProclaimResponse(header=self._writer.header(answer.revision))

    async def leader(
        self, request: election_pb2.LeaderRequest, caller: Caller
    ) -> election_pb2.LeaderResponse:
        """Raises NobodyElected."""
        line = WaitingLine(CallersStore(self._store, caller), request.name)
        kv, revision = await line.first()
        if kv is None:
            raise errors.NobodyElected
        return self._told(kv, revision)

    async def observe(
        self, request: election_pb2.LeaderRequest, caller: Caller
    ) -> AsyncIterator[election_pb2.LeaderResponse]:
        """Each leader and each value that it proclaims, without end."""
        line = WaitingLine(CallersStore(self._store, caller), request.name)
        while True:
            kv, revision = await line.first()
            if kv is None:
                await line.somebody(revision)
                continue
            yield self._told(kv, revision)
            async with aclosing(line.changes(kv.key, revision + 1)) as changes:
                async for event, at in changes:
                    if event.deleted:
                        break
                    yield self._told(event.kv, at)

    async def resign(
        self, request: election_pb2.ResignRequest, caller: Caller
    ) -> election_pb2.ResignResponse:
        """Raises MissingLeaderKey. Who leads no more has resigned already."""
        line, place = self._place(request, caller)
        answer = await line.leave(place)
        return election_pb2.ResignResponse(header=self._writer.header(answer.revision))

    def _place(
        self, request: election_pb2.ProclaimRequest | election_pb2.ResignRequest, caller: Caller
    ) -> tuple[WaitingLine, Place]:
        if not request.HasField("leader"):
            raise errors.MissingLeaderKey
        leader = request.leader
        line = WaitingLine(CallersStore(self._store, caller), leader.name)
        return line, Place(leader.key, leader.rev)

    def _told(self, kv: KeyValue, revision: int) -> election_pb2.LeaderResponse:
        return election_pb2.LeaderResponse(
            header=self._writer.header(revision), kv=messages.key_value(kv)
        )
