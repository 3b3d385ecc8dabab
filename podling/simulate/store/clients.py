"""Clients of the simulated store: what they ask, by which way, and what they make of the answers.

A request goes to one member over a way that takes time and may lose the answer. What a client is
told is recorded for the checkers, and compared at once with what was committed.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from podling.controlplane.store import errors
from podling.controlplane.store import requests as rq
from podling.controlplane.store.auth_requests import Identity
from podling.controlplane.store.etcd.caller import Caller
from podling.controlplane.store.etcd.callers_store import identity_of
from podling.controlplane.store.store import Store
from podling.simulate.event_loop import VirtualLoop
from podling.simulate.histories import Recorder
from podling.simulate.store.committed_history import CommittedHistory
from podling.simulate.store.lease_invariants import LeaseInvariants
from podling.simulate.store.member import Member, SimulatedServer
from podling.simulate.store.permission_invariants import PermissionInvariants
from podling.simulate.store.rights import ROOT, Login
from podling.simulate.store.traces import Trace

PATIENCE = 8.0
"""Seconds after which a client gives up; a member says earlier that it does not know."""
LATENCY = (0.0002, 0.002)
"""Seconds of each way between a client and a member."""
STEP = 1e-6
"""Seconds between two things that come the same way."""
ADMINISTRATOR = Login(ROOT)
"""As whom clients ask that are not told another user."""


class Unavailable(Exception):
    """Nobody listens there: nothing was asked."""


class Lost(Exception):
    """The connection broke, or no answer came: nothing is known."""


#: Asks something of a member; runs on its loop.
Call = Callable[[SimulatedServer], Awaitable[Any]]

CALLS: Mapping[type, Callable[[Store, Any, Identity | None], Awaitable[Any]]] = {
    rq.RangeRequest: lambda store, request, user: store.range(request, user=user),
    rq.PutRequest: lambda store, request, user: store.put(request, user=user),
    rq.DeleteRangeRequest: lambda store, request, user: store.delete_range(request, user=user),
    rq.TxnRequest: lambda store, request, user: store.txn(request, user=user),
    rq.CompactionRequest: lambda store, request, user: store.compact(request, user=user),
    rq.LeaseGrantRequest: lambda store, request, user: store.lease_grant(request, user=user),
    rq.LeaseRevokeRequest: lambda store, request, user: store.lease_revoke(request, user=user),
    rq.LeaseKeepAliveRequest: lambda store, request, user: store.lease_keep_alive(
        request, user=user
    ),
}

NOTHING_HAPPENED = (Unavailable, errors.NoLeader, errors.TooManyRequests, errors.NoSpace)
"""Refused before it could be proposed, for certain."""

NOT_KNOWN = (Lost, errors.Timeout, errors.Stopped)


class Clients:
    """All of them; they share a process, whose clock is true."""

    def __init__(
        self,
        loop: VirtualLoop,
        history: CommittedHistory,
        leases: LeaseInvariants,
        permissions: PermissionInvariants,
        trace: Trace,
        dice: random.Random,
    ) -> None:
        self.loop = loop
        self.recorder = Recorder(loop.time)
        self.lost_answers = 0.0
        """Share of the answers that never come."""
        self._history = history
        self._leases = leases
        self._permissions = permissions
        self._trace = trace
        self._dice = dice

    async def ask(self, member: Member, call: Call) -> Any:
        """What `call` returns at `member`; raises what it raises, Unavailable or Lost."""
        await asyncio.sleep(self._latency())
        if not member.up or member.loop is None or member.server is None:
            raise Unavailable(f"{member.name} is not up")
        answer: asyncio.Future[Any] = self.loop.create_future()
        give = _lose if self._dice.random() < self.lost_answers else self._giver(answer)
        member.loop.create_task(_serve(member.server, call, give), name="serve")
        member.on_end.append(lambda: give(None, Lost("connection reset")))
        try:
            async with asyncio.timeout(PATIENCE):
                return await answer
        except TimeoutError:
            raise Lost("no answer") from None

    async def follow(
        self,
        member: Member,
        read: Callable[[SimulatedServer, Callable[[Any], None]], Awaitable[None]],
        take: Callable[[Any], None],
    ) -> None:
        """Let `read` run at `member`, and hand what it tells to `take`, in order, until it ends.

        Raises what it raises, Unavailable or Lost.
        """
        await asyncio.sleep(self._latency())
        loop, server = member.loop, member.server
        if not member.up or loop is None or server is None:
            raise Unavailable(f"{member.name} is not up")
        ended: asyncio.Future[Any] = self.loop.create_future()
        give = self._giver(ended)
        arrival = 0.0

        def tell(item: Any) -> None:
            nonlocal arrival
            arrival = max(self.loop.time() + self._latency(), arrival + STEP)
            self.loop.call_at(arrival, take, item)

        task = loop.create_task(
            _serve(server, lambda server: read(server, tell), give), name="follow"
        )
        member.on_end.append(lambda: give(None, Lost("connection reset")))
        try:
            await ended
        finally:
            loop.call_soon(task.cancel)

    async def do(
        self, client: str, member: Member, request: Any, who: Login = ADMINISTRATOR
    ) -> Any:
        """Ask and record; the response, or None if there was none."""
        number, asked = self.recorder.invoke(client, request), self.loop.time()
        since = self._permissions.changes
        self._trace.note("ask", f"{client} {member.name} {request} {who.user}")
        try:
            response = await self.ask(member, lambda server: _carry_out(server, request, who))
        except NOT_KNOWN as error:
            self.recorder.unknown(number, repr(error))
            self._trace.note("unknown", f"{client} {error!r}")
            return None
        except (*NOTHING_HAPPENED, errors.StoreError) as error:
            self.recorder.failed(number, repr(error))
            self._trace.note("refused", f"{client} {error!r}")
            if isinstance(error, errors.PermissionDenied):
                self._permissions.denied(who, request, since)
            return None
        self.recorder.returned(number, response)
        self._trace.note("answer", f"{client} {response}")
        self._check(request, response)
        self._permissions.served(who, request, since)
        if isinstance(request, rq.LeaseKeepAliveRequest | rq.LeaseGrantRequest) and response.ttl:
            self._leases.promised(request.id, response.ttl, asked)
        return response

    def _check(self, request: Any, response: Any) -> None:
        """What was acknowledged must be there, at the revision that was told; what was read must
        have been there at that revision, whichever it is."""
        if response.revision > self._history.revision:
            self._trace.fail(
                "acknowledged writes are there",
                f"{request} was answered {response}, but nothing was committed at that revision",
            )
        if isinstance(request, rq.PutRequest):
            found = self._history.events.get(response.revision, ())
            if (request.key, request.value) not in [(e.kv.key, e.kv.value) for e in found]:
                self._trace.fail(
                    "acknowledged writes are there",
                    f"{request} was acknowledged at revision {response.revision}, which is {found}",
                )
        elif isinstance(request, rq.RangeRequest) and not request.range_end:
            there = self._history.at(request.key, response.revision)
            if list(response.kvs) != ([there] if there is not None else []):
                self._trace.fail(
                    "reads tell what was committed",
                    f"{request} was answered {response}, but at that revision there was {there}",
                )

    def _giver(self, answer: "asyncio.Future[Any]") -> Callable[[Any, BaseException | None], None]:
        """What hands an answer back, over the way."""

        def settle(result: Any, error: BaseException | None) -> None:
            if not answer.done():
                if error is None:
                    answer.set_result(result)
                else:
                    answer.set_exception(error)

        def give(result: Any, error: BaseException | None) -> None:
            self.loop.call_later(self._latency(), settle, result, error)

        return give

    def _latency(self) -> float:
        return self._dice.uniform(*LATENCY)


def _lose(result: Any, error: BaseException | None) -> None:
    """An answer that never comes."""


async def _carry_out(server: SimulatedServer, request: Any, who: Login) -> Any:
    """On the member's loop."""
    user = await identify(server, who)
    return await CALLS[type(request)](server.store, request, user)


async def identify(server: SimulatedServer, who: Login) -> Identity | None:
    """As the member establishes it. Raises StoreError."""
    name = "" if who.token else who.user
    return await identity_of(server.store, Caller(who.token, name))


async def _serve(
    server: SimulatedServer, call: Call, give: Callable[[Any, BaseException | None], None]
) -> None:
    """On the member's loop."""
    try:
        result = await call(server)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
        give(None, error)
    else:
        give(result, None)
