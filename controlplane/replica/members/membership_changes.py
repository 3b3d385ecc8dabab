"""Changes of membership as a replica offers them: checked, asked for again while that is safe."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from podling.controlplane.raft.messages import Refusal
from podling.controlplane.replica.config import ReplicaConfig
from podling.controlplane.replica.errors import (
    LearnerNotReady,
    MembershipRefused,
    NoLeader,
    OldMembers,
)
from podling.controlplane.replica.members import reconfiguration
from podling.controlplane.replica.members.membership import Member, Membership, configuration_of
from podling.controlplane.replica.members.pending_change import Change
from podling.controlplane.replica.members.roster import Roster
from podling.controlplane.replica.peers.wire import CHANGES_MEMBERS
from podling.controlplane.replica.running import Running
from podling.controlplane.replica.transport import Transport

#: What is to be made of the members; raises MembershipRefused if that cannot be.
Edit = Callable[[Membership], Membership]


class MembershipChanges:
    """Makes one change at a time, from whichever member it is asked for.

    Deadlines are by the event loop's clock.
    """

    def __init__(
        self,
        config: ReplicaConfig,
        roster: Roster,
        transport: Transport,
        running: Callable[[], Running],
    ) -> None:
        self._config = config
        self._roster = roster
        self._transport = transport
        self._running = running
        self._turn = asyncio.Lock()

    async def add(self, member_id: int, member: Member, deadline: float) -> Membership:
        def edit(now: Membership) -> Membership:
            after = now.with_added(member_id, member)
            if self._config.strict_reconfiguration:
                reconfiguration.check_add(now, member, self._config.member_id, self._connected())
            return after

        return await self._change(edit, deadline)

    async def remove(self, member_id: int, deadline: float) -> Membership:
        def edit(now: Membership) -> Membership:
            after = now.with_removed(member_id)
            me = self._config.member_id
            if self._config.strict_reconfiguration:
                reconfiguration.check_remove(now, member_id, me, self._connected())
            return after

        return await self._change(edit, deadline)

    async def update(
        self, member_id: int, peer_urls: tuple[str, ...], deadline: float
    ) -> Membership:
        return await self._change(lambda now: now.with_urls(member_id, peer_urls), deadline)

    async def promote(self, member_id: int, deadline: float) -> Membership:
        def edit(now: Membership) -> Membership:
            after = now.with_promoted(member_id)
            if self._config.strict_reconfiguration:
                reconfiguration.check_promote(now, member_id)
            return after

        return await self._change(edit, deadline)

    async def publish(self, name: str, client_urls: tuple[str, ...], deadline: float) -> Membership:
        me = self._config.member_id
        return await self._change(lambda now: now.with_published(me, name, client_urls), deadline)

    async def _change(self, edit: Edit, deadline: float) -> Membership:
        """Make the members what `edit` says, unless that is nothing new; return them.

        The configuration never becomes a joint one (Raft paper, section 6). Every edit adds,
        removes or promotes at most one member, and the core takes a change only of the
        configuration that the edit was made from, so the sets of voters before and after differ in
        one member at most: any two majorities of them share one (thesis, section 4.1).
        """
        async with self._my_turn(deadline):
            while True:
                await self._catch_up(deadline)
                before = self._roster.membership
                after = edit(before)
                if after == before:
                    return after
                self._check_versions(after)
                refusal = await self._attempt(after, deadline)
                if refusal is None:
                    return after
                _raise_if_final(refusal)
                await self._pause(deadline)

    async def _attempt(self, after: Membership, deadline: float) -> Refusal | None:
        running = self._running()
        change = Change(self._roster.configuration, configuration_of(after), deadline)
        running.changes.begin(change)
        running.driver.wake()
        try:
            return await change.future
        finally:
            running.changes.forget(change)

    async def _catch_up(self, deadline: float) -> None:
        """Know all changes that were committed before; raises NoLeader."""
        await self._running().read_index(deadline)

    async def _pause(self, deadline: float) -> None:
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            raise NoLeader("no leader made the change of membership in time; nothing was changed")
        await asyncio.sleep(min(left, self._config.heartbeat_interval))

    @asynccontextmanager
    async def _my_turn(self, deadline: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout_at(deadline):
                await self._turn.acquire()
        except TimeoutError:
            raise NoLeader("another change of membership is under way here") from None
        try:
            yield
        finally:
            self._turn.release()

    def _check_versions(self, after: Membership) -> None:
        """A member of an older program would have to stop at the change; raises OldMembers."""
        old = [
            after.members[peer].name or f"{peer:x}"
            for peer, version in sorted(self._transport.wire_versions().items())
            if version < CHANGES_MEMBERS and peer in after.members
        ]
        if old:
            raise OldMembers(
                f"{', '.join(old)}: an older program runs there, which does not know changes of "
                "membership; upgrade it first"
            )

    def _connected(self) -> frozenset[int]:
        return self._transport.connected_peers()


def _raise_if_final(refusal: Refusal) -> None:
    """Some refusals do not pass by themselves."""
    if refusal is Refusal.LEARNER_BEHIND:
        raise LearnerNotReady("the learner has not caught up with the leader yet; try again later")
    if refusal is Refusal.INVALID:
        raise MembershipRefused("there would be no member left that votes")
