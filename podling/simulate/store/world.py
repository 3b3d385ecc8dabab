"""The simulated world of one run: members, the ways between them, clients, and who watches them.

It does nothing by itself: a `Director` carries out a schedule in it, by verbs such as `crash`.
"""

import random
from collections.abc import Callable, Coroutine
from typing import Any

from podling.aiokit.tasks import TaskSet
from podling.controlplane.raft.state import Role
from podling.controlplane.replica.members.membership import Member as Listed
from podling.controlplane.replica.members.membership import Membership
from podling.simulate.event_loop import VirtualTime
from podling.simulate.network import Delay, MemoryNetwork
from podling.simulate.store.alarm_invariants import AlarmInvariants
from podling.simulate.store.clients import Clients
from podling.simulate.store.committed_history import CommittedHistory
from podling.simulate.store.lease_invariants import LeaseInvariants
from podling.simulate.store.member import Honest, Member, Surroundings, url_of
from podling.simulate.store.permission_invariants import PermissionInvariants
from podling.simulate.store.raft_invariants import RaftInvariants
from podling.simulate.store.rights import Login
from podling.simulate.store.schedule import Schedule
from podling.simulate.store.traces import Trace
from podling.simulate.store.watching import Watching

#: `leader`, or the number of a member.
Target = int | str


class World:
    """All that a schedule can reach."""

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
        self.loop = self.time.new_loop("director")
        """Of those who stand outside: who carries out the schedule, and the clients."""
        self.clients = Clients(
            self.loop,
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
        self._learned = Membership(known)
        self.watches: list[Watching] = []
        self._tasks = TaskSet("clients", self._client_died)
        self._names = 0

    def dice(self, purpose: str) -> random.Random:
        """Dice of their own, so that events left out change as little as can be."""
        return random.Random(f"{self.schedule.seed}/{purpose}")

    def target(self, name: Target) -> Member | None:
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
        self.loop.call_later(seconds, action)

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

    def present(self) -> list[Member]:
        """Who belongs to the cluster now, as far as anybody has told."""
        return [self.members[number] for number in sorted(self.membership().members)]

    def membership(self) -> Membership:
        """The newest that a member knows to be committed."""
        for each in self.members.values():
            if each.server:
                self.learn(each.server.replica.membership)
        return self._learned

    def learn(self, membership: Membership) -> None:
        """A member has told this; all who know of it may be down before long."""
        self._learned = max(self._learned, membership, key=lambda each: each.version)

    def _client_died(self, name: str, error: BaseException) -> None:
        self.trace.fail("clients live", f"{name}: {error!r}")

    def _error(self, process: str, error: BaseException | None, text: str) -> None:
        self.trace.fail("nothing is raised unseen", f"{process}: {text}: {error!r}")
