"""Bugs that a simulation must find, each in place of something that works.

They are put in where a member is built, as other collaborators or as subclasses; the store's own
code knows nothing of them. A simulation that finds none of these would prove nothing.
"""

from collections.abc import Mapping, Sequence

from podling.controlplane.raft.messages import (
    AppendRequest,
    AppendResponse,
    Message,
    VoteRequest,
    VoteResponse,
)
from podling.controlplane.store import requests as rq
from podling.controlplane.store.auth_requests import Identity
from podling.controlplane.store.machine.snapshots import Contents
from podling.controlplane.store.machine.watchers import Watchers
from podling.simulate.disk import MemoryDisk
from podling.simulate.network import MemoryNetwork, MemoryTransport
from podling.simulate.store.member import (
    Honest,
    ObservedMachine,
    SimulatedServer,
    SimulatedStore,
)


class _AnswersForPeers(MemoryTransport):
    """Tells a leader that its followers have what it has only just sent them."""

    def send(self, messages: Sequence[Message]) -> None:
        super().send(messages)
        for message in messages:
            if isinstance(message, AppendRequest) and message.entries:
                last = message.entries[-1].index
                answer = AppendResponse(message.to, message.sender, message.term, last)
                self.loop.call_soon(self.arrived, [answer])


class CommitWithoutQuorum(Honest):
    """A leader commits what nobody else has."""

    def transport(self, network: MemoryNetwork, member: int) -> MemoryTransport:
        return _AnswersForPeers(network, member)


class SkipFsync(Honest):
    """What is said to be on disk is in the page cache."""

    def disk(self, disk: MemoryDisk) -> MemoryDisk:
        disk.ignores_syncs = True
        return disk


class HideDamage(Honest):
    """A member takes what is damaged for what was never written."""

    def disk(self, disk: MemoryDisk) -> MemoryDisk:
        disk.hides_damage = True
        return disk


class _GrantsEveryVote(MemoryTransport):
    """Votes for whoever asks, whoever asked before."""

    def arrived(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if isinstance(message, VoteRequest) and not message.pre:
                self.send([VoteResponse(message.to, message.sender, message.term, granted=True)])
        super().arrived(messages)


class VoteTwice(Honest):
    """A member votes for several candidates of one term."""

    def transport(self, network: MemoryNetwork, member: int) -> MemoryTransport:
        return _GrantsEveryVote(network, member)


class _ReadsAtOnce(SimulatedStore):
    async def linearize(self) -> None:
        """Believe that this member knows everything."""


class _StaleReadServer(SimulatedServer):
    store_type = _ReadsAtOnce


class StaleRead(Honest):
    """A read is answered by what the member happens to know."""

    server_type = _StaleReadServer


class _ForgetsRenewals(SimulatedStore):
    async def lease_keep_alive(
        self,
        request: rq.LeaseKeepAliveRequest,
        *,
        user: Identity | None = None,
    ) -> rq.LeaseKeepAliveResponse:
        """Promise another time-to-live, and tell nobody."""
        lease = self._machine.leases.get(request.id)
        ttl = 0 if lease is None else lease.ttl
        return rq.LeaseKeepAliveResponse(self.revision, request.id, ttl)


class _LostLeaseServer(SimulatedServer):
    store_type = _ForgetsRenewals


class LostLease(Honest):
    """A lease ends although it was kept alive."""

    server_type = _LostLeaseServer


class _WatchGapMachine(ObservedMachine):
    def take(self, contents: Contents) -> None:
        """Leave the watchers where they are, as if nothing had happened in between."""
        watchers, self.watchers = self.watchers, Watchers(lambda: self.store, 0)
        super().take(contents)
        self.watchers = watchers


class _WatchGapServer(SimulatedServer):
    machine_type = _WatchGapMachine


class WatchGap(Honest):
    """A watch is not told what a member learned from a snapshot."""

    server_type = _WatchGapServer


class _ChecksTooEarly(SimulatedStore):
    async def range(
        self, request: rq.RangeRequest, *, user: Identity | None = None
    ) -> rq.RangeResponse:
        """Look what may be read before all is known that was changed."""
        self._machine.auth.check_read(user, request.key, request.range_end)
        await self.linearize()
        return await super().range(request, user=self._machine.auth.root())


class _StalePermissionServer(SimulatedServer):
    store_type = _ChecksTooEarly


class StalePermission(Honest):
    """A member lets users do what they were allowed once."""

    server_type = _StalePermissionServer


class _KnowsTokensForEverMachine(ObservedMachine):
    def apply(self, index: int, term: int, command: bytes) -> object:
        """Let who logged in with a former password go on."""
        self.tokens.forget_user = lambda user: None  # type: ignore[method-assign]
        return super().apply(index, term, command)


class _KeepTokenServer(SimulatedServer):
    machine_type = _KnowsTokensForEverMachine


class KeepToken(Honest):
    """A token outlives the password that it was given out for."""

    server_type = _KeepTokenServer


class _NeverFullMachine(ObservedMachine):
    def apply(self, index: int, term: int, command: bytes) -> object:
        """Carry everything out, whatever alarms there are."""
        self.alarms.check = lambda request: None  # type: ignore[method-assign]
        return super().apply(index, term, command)


class _IgnoreAlarmServer(SimulatedServer):
    machine_type = _NeverFullMachine


class IgnoreAlarm(Honest):
    """A store that has no space is written to."""

    server_type = _IgnoreAlarmServer


BUGS: Mapping[str, Honest] = {
    "commit-without-quorum": CommitWithoutQuorum(),
    "skip-fsync": SkipFsync(),
    "hide-damage": HideDamage(),
    "stale-read": StaleRead(),
    "lost-lease": LostLease(),
    "watch-gap": WatchGap(),
    "vote-twice": VoteTwice(),
    "stale-permission": StalePermission(),
    "keep-token": KeepToken(),
    "ignore-alarm": IgnoreAlarm(),
}
"""By the name under which `podling simulate store --plant` knows them."""
