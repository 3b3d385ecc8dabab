"""A cluster on a bad network and bad luck, decided by one seed; invariants hold after every step.

Messages are delayed, lost, doubled and reordered; members crash and lose what they had not finished
writing, start again, compact their logs, are cut off; others join with empty logs, learn, vote, and
are removed. Phase one is safety: anything may happen. Phase two is liveness: everybody is back, the
network works, and soon everything must be equal.

    python -m tests.controlplane.raft.simulation 1000 2000     seeds 1000 to 1999
"""

import random
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import replace

from podling.controlplane.raft import configuration_entry, describe
from podling.controlplane.raft.config import Config
from podling.controlplane.raft.messages import Entry, EntryKind, InstallSnapshot, Message
from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.raft.rawnode import ProposalRefused
from podling.controlplane.raft.state import Role
from tests.controlplane.raft.member import Member

ELECTION_TICKS = 6
SPARE = 3
"""Members that are none yet."""


class Simulation:
    """One run. `steps` counts what happened, to show that a run is not idle."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        first = frozenset(range(1, self.dice.choice([1, 2, 3, 3, 3, 4, 5]) + 1))
        self.initial = Configuration(first)
        limits = {
            "election_ticks": ELECTION_TICKS,
            "heartbeat_ticks": self.dice.choice([1, 2, 3]),
            "max_inflight_messages": self.dice.choice([1, 4, 256]),
            "max_append_bytes": self.dice.choice([1, 100, 10_000]),
            "max_committed_entries": self.dice.choice([1, 256]),
            "max_learner_lag": self.dice.choice([0, 1000]),
        }
        self.members = {
            number: Member(
                Config(number, **limits),
                self.initial if number in first else Configuration(),
                self.dice,
            )
            for number in range(1, len(first) + SPARE + 1)
        }
        self.network: list[Message] = []
        self.cut: set[int] = set()
        """No message passes between these and the others."""
        self.loss = self.dice.choice([0.0, 0.02, 0.2])
        self.haste = self.dice.choice([0.3, 0.6, 0.9])
        """How often a member answers at once."""
        self.pace = {number: self.dice.choice([0.05, 1.0, 1.0]) for number in self.members}
        """Clocks drift: the share of ticks that a member sees."""
        self.involved = sorted(first)
        """Who is or may have become a member."""
        self.leaders: dict[int, int] = {}
        """By term."""
        self.committed: dict[int, Entry] = {}
        """By index, as the first member to apply it saw it."""
        self.applied: dict[int, int] = dict.fromkeys(self.members, 0)
        self.read_floor: dict[tuple[int, int], int] = {}
        """(member, request): what was committed when it asked."""
        self.requests = 0
        self.steps: Counter[str] = Counter()

    def run(self, steps: int) -> None:
        always = {self.tick: 120, self.deliver: 150, self.act: 50, self.persist: 30}
        sometimes = {
            self.propose: 15, self.read: 15, self.restart: 8, self.crash: 0.5, self.heal: 1,
            self.cut_off: 1, self.compact: 2, self.transfer: 1, self.step_down: 0.2,
            self.change: 4, self.unreachable: 1,
        }  # fmt: skip
        # Runs differ in what they have much of: some of everything hides what takes a lot of one.
        rates = {event: rate * self.dice.choice([0.3, 1, 3]) for event, rate in sometimes.items()}
        events = {**always, **rates}
        for event in self.dice.choices(list(events), list(events.values()), k=steps):
            member = self.members[self.dice.choice(self.involved)]
            if member.running or event == self.restart:
                event(member)
                self.steps[event.__name__] += 1
            self.check(member)
        self.check_logs()
        self.settle()

    def tick(self, member: Member) -> None:
        if self.dice.random() < self.pace[member.id]:
            member.node.tick()

    def deliver(self, _: Member) -> None:
        if not self.network:
            return
        # Mostly in order, sometimes not.
        position = 0 if self.dice.random() < 0.7 else self.dice.randrange(len(self.network))
        message = self.network[position]
        if self.dice.random() >= 0.03:
            del self.network[position]
        receiver = self.members[message.to]
        crosses = (message.sender in self.cut) != (message.to in self.cut)
        lost = crosses or self.dice.random() < self.loss
        if receiver.running and not lost:
            receiver.node.step(message)
        if isinstance(message, InstallSnapshot) and self.members[message.sender].running:
            self.members[message.sender].node.snapshot_sent(message.to, ok=not lost)
        if receiver.running and self.dice.random() < self.haste:
            self.act(receiver)
            self.persist(receiver)
        self.check(receiver)

    def act(self, member: Member) -> None:
        before = len(member.reads)
        ready = member.take_ready()
        if ready is None:
            return
        self.network += ready.messages
        if ready.snapshot is not None:
            self.applied[member.id] = ready.snapshot.index
        for entry in ready.committed:
            assert entry.index == self.applied[member.id] + 1, "applied out of order"
            self.applied[member.id] = entry.index
            known = self.committed.setdefault(entry.index, entry)
            assert known == entry, f"committed entry {known} became {entry}"
            self.steps["reconfigured"] += known is entry and entry.kind is EntryKind.CONFIGURATION
        for request, index in member.reads[before:]:
            floor = self.read_floor[member.id, request]
            assert index >= floor, f"stale read: {index}, but {floor} was committed before"

    def persist(self, member: Member) -> None:
        if member.writes:
            self.network += member.persist()

    def propose(self, member: Member) -> None:
        member = self.one_of_the_leading(member)
        self.requests += 1
        commands = [b"%d" % self.requests] * self.dice.choice([1, 1, 3])
        try:
            member.node.propose(commands, self.requests)
        except ProposalRefused:
            self.steps["refused"] += 1

    def read(self, member: Member) -> None:
        member = self.one_of_the_leading(member)
        self.requests += 1
        self.read_floor[member.id, self.requests] = max(self.committed, default=0)
        member.node.read_index(self.requests)

    def crash(self, member: Member) -> None:
        member = self.one_of_the_leading(member)
        # Some of what was being written may have made it; nothing of it was answered.
        for _ in range(self.dice.randrange(len(member.writes) + 1)):
            member.disk.write(member.writes.popleft())
        member.crash()

    def restart(self, member: Member) -> None:
        if not member.running:
            member.start()
            self.applied[member.id] = member.disk.snapshot.index

    def one_of_the_leading(self, member: Member) -> Member:
        """A member that believes to lead, more often than not."""
        members = self.members.values()
        leading = [each for each in members if each.running and each.node.role is Role.LEADER]
        return self.dice.choice([member, *leading, *leading])

    def cut_off(self, member: Member) -> None:
        self.cut = {self.one_of_the_leading(member).id}
        if self.dice.random() < 0.5:
            self.cut |= {each for each in self.members if self.dice.random() < 0.4}

    def heal(self, _: Member) -> None:
        self.cut.clear()

    def compact(self, member: Member) -> None:
        # A driver snapshots when its writes are done.
        if not member.writes:
            snapshot = member.save_snapshot(keep=self.dice.choice([0, 1, 5]))
            if snapshot is not None:
                assert snapshot.configuration == self.configuration_at(snapshot.index)

    def configuration_at(self, index: int) -> Configuration:
        """As the committed entries say."""
        for position in range(index, 0, -1):
            if self.committed[position].kind is EntryKind.CONFIGURATION:
                return configuration_entry.decode(self.committed[position].data)
        return self.initial

    def transfer(self, member: Member) -> None:
        member.node.transfer_leadership(self.dice.choice([0, *self.members]))

    def step_down(self, member: Member) -> None:
        member.node.step_down()

    def change(self, member: Member) -> None:
        member = self.one_of_the_leading(member)
        self.requests += 1
        base = member.node.configuration
        proposed = self.another(base, member.id)
        with suppress(ProposalRefused):
            member.node.propose_configuration(base, proposed, self.requests)
            self.steps["changes"] += 1
            self.involved += sorted(proposed.members - set(self.involved))

    def another(self, base: Configuration, leader: int) -> Configuration:
        """One voter more or less, a learner more or less, one promoted, or all that at once."""
        voters, learners = set(base.voters), set(base.learners)
        for _ in range(self.dice.choice([1, 1, 4])):
            one = leader if self.dice.random() < 0.1 else self.dice.choice(list(self.members))
            if one in learners:
                learners.discard(one)
                voters |= {one} if self.dice.random() < 0.7 else set()
            elif one in voters:
                voters.discard(one)
                learners |= {one} if self.dice.random() < 0.3 else set()
            else:
                self.dice.choice([voters, learners]).add(one)
        return replace(base, voters=frozenset(voters), learners=frozenset(learners))

    def unreachable(self, member: Member) -> None:
        member.node.unreachable(self.dice.choice(list(self.members)))

    def check(self, member: Member) -> None:
        """What holds at any time."""
        if not member.running:
            return
        raft = member.node.raft
        if raft.role is Role.LEADER:
            leader = self.leaders.setdefault(raft.term, member.id)
            assert leader == member.id, f"{leader} and {member.id} both lead in term {raft.term}"
            for peer, progress in raft.progress.items():
                assert 0 <= progress.match_index < progress.next_index, f"progress of {peer}"
        elif raft.role is not Role.FOLLOWER:
            known = raft.log.configurations.at(raft.log.committed)
            voters = raft.configuration.all_voters | known.all_voters
            assert raft.id in voters, f"{raft.id} has no vote and campaigns"
        log = raft.log
        assert log.applied <= log.applying <= log.committed <= log.last_index
        assert log.stable <= log.handed <= log.last_index

    def check_logs(self) -> None:
        """Log matching: one index and term, one entry (paper, figure 3); and the newest
        configuration in it is in force (section 6).
        """
        entries: dict[tuple[int, int], Entry] = {}
        for member in self.members.values():
            for entry in member.disk.entries:
                known = entries.setdefault((entry.index, entry.term), entry)
                assert known == entry, f"{known} and {entry} have the same index and term"
            self.check_configuration(member)

    def check_configuration(self, member: Member) -> None:
        log = member.node.raft.log
        newest = log.snapshot.configuration
        for entry in log.slice(log.first_index, sys.maxsize):
            if entry.index > log.snapshot.index and entry.kind is EntryKind.CONFIGURATION:
                newest = configuration_entry.decode(entry.data)
        assert member.node.configuration == newest, f"{member.id}: not the newest in its log"

    def settle(self) -> None:
        """Phase two: with everybody back, a proposal is committed everywhere before long."""
        self.cut.clear()
        self.loss = 0.0
        for member in self.members.values():
            self.restart(member)
        for _ in range(60 * ELECTION_TICKS):
            for member in self.members.values():
                self.tick(member)
            self.exchange()
            if self.settled():
                return
        status = "\n".join(describe.status(each.node) for each in self.members.values())
        raise AssertionError(f"not settled:\n{status}")

    def exchange(self) -> None:
        for _ in range(6):
            arriving, self.network = self.network, []
            for message in arriving:
                self.members[message.to].node.step(message)
                if isinstance(message, InstallSnapshot):
                    self.members[message.sender].node.snapshot_sent(message.to, ok=True)
            for member in self.members.values():
                self.act(member)
                self.persist(member)
                self.check(member)

    def settled(self) -> bool:
        leaders = [each for each in self.members.values() if each.node.role is Role.LEADER]
        if len(leaders) != 1:
            return False
        configuration = leaders[0].node.configuration
        if not any(entry.data == b"final" for entry in self.committed.values()):
            with suppress(ProposalRefused):
                leaders[0].node.propose([b"final"], 0)
            return False
        applied = {self.applied[member] for member in configuration.members}
        return applied == {max(self.committed)} and not configuration.outgoing


def main() -> None:
    first, last = int(sys.argv[1]), int(sys.argv[2])
    total: Counter[str] = Counter()
    for seed in range(first, last):
        simulation = Simulation(seed)
        try:
            simulation.run(3000)
        except AssertionError as error:
            sys.stdout.write(f"seed {seed}: {error}\n")
            raise
        total += simulation.steps
        total["terms"] += len(simulation.leaders)
        total["committed"] += len(simulation.committed)
    sys.stdout.write(f"{total}\n")


if __name__ == "__main__":
    main()
