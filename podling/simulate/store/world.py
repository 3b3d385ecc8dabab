"""The simulated world of one run: builds everything, carries out the schedule, ends in peace.

First comes what the schedule says; anything may happen to anybody. Then every fault is taken away,
everybody is started again, and soon all must be well: writes work at every member, all have the
same state, every watch has seen everything.
"""

import asyncio
import gc
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from podling.aiokit.tasks import TaskSet
from podling.controlplane.raft.state import Role
from podling.controlplane.replica.members.membership import Member as Listed
from podling.controlplane.replica.members.membership import Membership
from podling.controlplane.store import requests as rq
from podling.simulate.event_loop import Stuck, VirtualLoop, VirtualTime
from podling.simulate.histories import Operation
from podling.simulate.network import Delay, MemoryNetwork
from podling.simulate.revision_order import check_revisions
from podling.simulate.store.administering import ADMINISTERING, make_room
from podling.simulate.store.alarm_invariants import AlarmInvariants
from podling.simulate.store.clients import Clients
from podling.simulate.store.committed_history import CommittedHistory
from podling.simulate.store.faults import FAULTS, end_faults
from podling.simulate.store.lease_invariants import LeaseInvariants
from podling.simulate.store.member import Honest, Member, Surroundings
from podling.simulate.store.permission_invariants import PermissionInvariants
from podling.simulate.store.raft_invariants import RaftInvariants
from podling.simulate.store.reconfiguring import RECONFIGURING, url_of
from podling.simulate.store.rights import Login
from podling.simulate.store.schedule import Schedule
from podling.simulate.store.traces import Trace, Violation
from podling.simulate.store.watching import Watching
from podling.simulate.store.workload import WORKLOAD

SETTLING = 60.0
"""Seconds in which all must be well again once there are no faults any more."""
RETRY = 0.25
ATTEMPTS = 100


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run."""

    schedule: Schedule
    violation: Violation | None
    trace: Sequence[str]
    counts: Counter[str]
    history: Sequence[Operation]
    seconds: float
    """Of true time."""


class World:
    """One run."""

    def __init__(self, schedule: Schedule, plant: Honest | None = None) -> None:
        settings = schedule.settings
        self.schedule = schedule
        self.time = VirtualTime(self._error)
        self.trace = Trace(lambda: self.time.now)
        self.network = MemoryNetwork(self.dice("network"), Delay(*settings.network_delay))
        self.leases = LeaseInvariants(
            self.trace, lambda: self.time.now, max((1.0, *settings.drift))
        )
        self.permissions = PermissionInvariants(self.trace)
        followers = (self.leases, self.permissions, AlarmInvariants(self.trace))
        self.history = CommittedHistory(self.trace, followers)
        self.raft = RaftInvariants(self.trace)
        self._director = self.time.new_loop("director")
        self.clients = Clients(
            self._director,
            self.history,
            self.leases,
            self.permissions,
            self.trace,
            self.dice("clients"),
        )
        self.logins: dict[str, Login] = {}
        """As whom users ask, by their names; without a token of theirs by certificate."""
        around = Surroundings(
            self.time, self.network, self.trace, self.history, self.raft, plant or Honest()
        )
        known = {
            number: Listed(f"member-{number}", (url_of(number),))
            for number in range(1, settings.members + 1)
        }
        self.members = {
            number: Member(
                number,
                settings,
                known if number in known else None,
                around,
                self.dice(f"member-{number}"),
            )
            for number in range(1, settings.members + settings.spares + 1)
        }
        self._by_loop: dict[str, Member] = {each.name: each for each in self.members.values()}
        self._learned = Membership(known)
        self.watches: list[Watching] = []
        self._tasks = TaskSet("clients", self._client_died)
        self._names = 0

    def dice(self, purpose: str) -> random.Random:
        """Dice of their own, so that events left out change as little as can be."""
        return random.Random(f"{self.schedule.seed}/{purpose}")

    def run(self) -> Outcome:
        """Carry it out, up to the end or to the first violation."""
        collecting = gc.isenabled()
        gc.disable()
        try:
            direction = self._director.create_task(self._direct(), name="direct")
            self.time.run_until(lambda: direction.done(), self._look)
            direction.result()
            self._judge()
        except Violation:
            pass
        except Stuck as error:
            self.trace.fail("time goes on", str(error))
        finally:
            self.trace.note("end", f"after {self.time.callbacks} callbacks")
            # What the dead still do when they are let go of is not part of the run.
            outcome = self._outcome()
            self.time.close()
            if collecting:
                gc.enable()
        return outcome

    def _outcome(self) -> Outcome:
        return Outcome(
            self.schedule,
            self.trace.violation,
            tuple(self.trace.lines),
            Counter(self.trace.counts),
            self.clients.recorder.history(),
            self.time.now,
        )

    def target(self, name: int | str) -> Member | None:
        """A member by number, or `leader`: whoever leads in the newest term."""
        if name != "leader":
            return self.members.get(int(name))
        leading = [
            (node.term, each.number)
            for each in self.members.values()
            if each.server is not None
            if (node := each.server.replica.node) is not None and node.role is Role.LEADER
        ]
        return self.members[max(leading)[1]] if leading else None

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something after so many seconds of true time."""
        self._director.call_later(seconds, action)

    def spawn(self, work: Coroutine[Any, Any, object], name: str) -> None:
        """A client begins to work."""
        self._tasks.spawn(work, name=name)

    def login(self, user: str) -> Login:
        """As whom a user asks now."""
        return self.logins.get(user, Login(user))

    def client(self) -> str:
        """The name of a new client."""
        self._names += 1
        return f"client-{self._names}"

    async def _direct(self) -> None:
        for member in self.members.values():
            member.start()
        for event in self.schedule.events:
            await asyncio.sleep(event.at - self.time.now)
            self.trace.note("event", str(event))
            VERBS[event.verb](self, **event.details)
        await self._settle()
        await self._until(self._all_stopped, "all have stopped")

    async def _settle(self) -> None:
        """Phase two: all is well before long."""
        self.trace.note("settle")
        end_faults(self)
        await self._until(self._all_started, "all have started")
        for number in sorted(self._membership().voters):
            await self._write_at(self.members[number])
        await self._until(self._all_equal, "all have applied the same")
        for member in self._present():
            if member.server is not None:
                self.history.compare(member.number, self.history.last, member.server.machine)
        await self._until(lambda: not self._incomplete(), "every watch has been told everything")
        await self._until(lambda: not self.leases.alive, "leases that nobody renews have expired")

    async def _write_at(self, member: Member) -> None:
        for attempt in range(ATTEMPTS):
            # A change of membership that was under way may have ended meanwhile.
            self._all_started()
            if member.number not in self._membership().voters:
                return
            if attempt and self.schedule.settings.quota_bytes:
                await make_room(self, member)
            request = rq.PutRequest(b"final", b"%d-%d" % (member.number, attempt))
            if await self.clients.do("final", member, request) is not None:
                return
            await asyncio.sleep(RETRY)
        self.trace.fail("all is well without faults", f"{member.name} takes no writes")

    def _all_started(self) -> bool:
        for member in self._present():
            if member.down:
                member.join(self._membership())
                member.start()
        return all(member.up for member in self._present())

    def _all_stopped(self) -> bool:
        for member in self.members.values():
            # One that was removed may have been about to come back.
            if member.up and member.loop is not None:
                member.up = False
                member.loop.create_task(member.stop(), name="stop")
        return all(member.down for member in self.members.values())

    def _all_equal(self) -> bool:
        if not self._all_started():
            return False
        last = self.history.last
        return all(self.history.position(each.number) == last for each in self._present())

    def _present(self) -> list[Member]:
        """Who belongs to the cluster now, as far as anybody has told."""
        return [self.members[number] for number in sorted(self._membership().members)]

    def _membership(self) -> Membership:
        """The newest that a member knows to be committed."""
        for each in self.members.values():
            if each.server:
                self.learn(each.server.replica.membership)
        return self._learned

    def learn(self, membership: Membership) -> None:
        """A member has told this; all who know of it may be down before long."""
        self._learned = max(self._learned, membership, key=lambda each: each.version)

    def _incomplete(self) -> list[str]:
        return [watch.name for watch in self.watches if not watch.is_complete]

    async def _until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = self.time.now + SETTLING
        while not condition():
            if self.time.now > deadline:
                self.trace.fail("all is well without faults", f"not in {SETTLING} s: {what}")
            await asyncio.sleep(RETRY)

    def _judge(self) -> None:
        """Can what clients saw be explained by one order of what they did?"""
        events = [event for at in self.history.events.values() for event in at]
        verdict = check_revisions(self.clients.recorder.history(), events)
        if not verdict:
            self.trace.fail("linearizable", str(verdict))

    def _look(self, loop: VirtualLoop) -> None:
        """After each callback: does everything hold still?"""
        member = self._by_loop.get(loop.name)
        if member is not None and member.loop is loop and member.server is not None:
            node = member.server.replica.node
            if node is not None:
                self.raft.look(member.number, node.raft)
                if self.history.waits_to_settle(member.number):
                    self.history.settle(member.number, node.raft.log.snapshot.index)
            if member.disk.is_cut:
                member.end(power=True)
        if self.trace.violation is not None:
            raise self.trace.violation

    def _client_died(self, name: str, error: BaseException) -> None:
        self.trace.fail("clients live", f"{name}: {error!r}")

    def _error(self, process: str, error: BaseException | None, text: str) -> None:
        self.trace.fail("nothing is raised unseen", f"{process}: {text}: {error!r}")


#: Everything that a schedule may say.
VERBS: Mapping[str, Callable[..., None]] = {
    **FAULTS,
    **RECONFIGURING,
    **WORKLOAD,
    **ADMINISTERING,
}
