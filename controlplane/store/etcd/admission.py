"""What is refused whatever the handler would say (etcd: api/v3rpc/interceptor.go)."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from podling.controlplane.etcdpb import rpc_pb2
from podling.controlplane.store import errors
from podling.controlplane.store.cluster_members import ClusterMembers
from podling.controlplane.store.etcd.caller import Caller
from podling.controlplane.store.etcd.methods import Handler, Method

MAX_CALLS = 10_000
"""Calls with one answer that may be under way."""

MAX_STREAMS = 10_000
"""Streams that may be open."""

#: The only stream that a learner serves.
_SNAPSHOT = "/etcdserverpb.Maintenance/Snapshot"


class Admission:
    """Bounds the calls of one listener, and refuses what this member cannot serve now."""

    def __init__(
        self,
        members: ClusterMembers,
        *,
        max_calls: int = MAX_CALLS,
        max_streams: int = MAX_STREAMS,
    ) -> None:
        self._members = members
        self._max_calls = max_calls
        self._max_streams = max_streams
        self._calls = 0
        self._streams = 0

    def admitted(self, method: Method) -> Method:
        """The method, whose handler raises NoLeader, NotForLearners and TooManyRequests too."""
        wrap = self._stream if method.streams_out else self._call
        return method._replace(handler=wrap(method))

    def _call(self, method: Method) -> Handler:
        handler = method.handler

        async def answer(request: Any, caller: Caller) -> Any:
            self._check_leader(caller)
            if self._members.is_learner and not _is_for_learners(request):
                raise errors.NotForLearners
            if self._calls >= self._max_calls:
                raise errors.TooManyRequests
            self._calls += 1
            try:
                return await handler(request, caller)
            finally:
                self._calls -= 1

        return answer

    def _stream(self, method: Method) -> Handler:
        handler, path = method.handler, method.path

        async def answer(request: Any, caller: Caller) -> AsyncIterator[Any]:
            self._check_leader(caller)
            if self._members.is_learner and path != _SNAPSHOT:
                raise errors.NotForLearners
            if self._streams >= self._max_streams:
                raise errors.TooManyRequests
            self._streams += 1
            try:
                async with aclosing(handler(request, caller)) as responses:
                    async for response in responses:
                        yield response
            finally:
                self._streams -= 1

        return answer

    def _check_leader(self, caller: Caller) -> None:
        if caller.requires_leader and not self._members.leader:
            raise errors.NoLeader


def _is_for_learners(request: object) -> bool:
    """A learner tells of itself and of what it happens to know, nothing more."""
    if isinstance(request, rpc_pb2.RangeRequest):
        return request.serializable
    return isinstance(request, rpc_pb2.StatusRequest)
