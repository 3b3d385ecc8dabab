"""Runs scenario files: commands and the exact output expected of each.

    > status 2
    2: follower term=1 vote=1 leader=1 applied=1 committed=1 stable=1 last=1/1

A line that begins with `>` is a command, what follows up to a blank line is its output; `#` begins
a comment. `python -m tests.controlplane.raft.interaction --rewrite` writes the output that the code
gives now into every file, to be reviewed as a diff.
"""

import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from podling.controlplane.raft import describe, election
from podling.controlplane.raft.config import Config
from podling.controlplane.raft.messages import (
    NONE,
    Entry,
    EntryKind,
    HardState,
    InstallSnapshot,
    Message,
)
from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.raft.rawnode import ProposalRefused, Ready
from tests.controlplane.raft.member import Member

MAX_LINES = 1000
SCENARIOS = Path(__file__).parent / "scenarios"


class Interaction:
    """A cluster that does nothing by itself, and the commands that move it."""

    def __init__(self) -> None:
        self.members: dict[int, Member] = {}
        self.network: list[Message] = []
        self.cut: set[int] = set()

    def run(self, line: str) -> str:
        name, *arguments = line.split()
        command: Callable[..., str] = getattr(self, "do_" + name.replace("-", "_"))
        options = dict(word.split("=", 1) for word in arguments if "=" in word)
        return command(*(word for word in arguments if "=" not in word), **options)

    def do_add_nodes(self, count: str, **options: str) -> str:
        """add-nodes 3 max_inflight_messages=2: a cluster of 1 to 3; options are Config's fields."""
        self.members.clear()
        self.network.clear()
        self.cut.clear()
        ids = frozenset(range(1, int(count) + 1))
        limits = {"election_ticks": 10, "heartbeat_ticks": 1}
        limits |= {name: int(value) for name, value in options.items()}
        for number in sorted(ids):
            config = Config(number, **limits)
            self.members[number] = Member(config, Configuration(ids), random.Random(number))
        return ""

    def do_add_node(self, member: str, *entries: str, of: str = "0", commit: str = "0") -> str:
        """add-node 4: one that knows of no other. add-node 2 1 1:x 3 of=5 commit=2: one of five
        with a log of three entries of terms 1, 1 and 3, the second of them "x", two committed.
        """
        config = Config(int(member), election_ticks=10, heartbeat_ticks=1)
        voters = Configuration(frozenset(range(1, int(of) + 1)))
        node = Member(config, voters, random.Random(int(member)))
        node.disk.entries = [
            Entry(index, int(term), EntryKind.COMMAND, data.encode())
            for index, (term, _, data) in enumerate((e.partition(":") for e in entries), start=1)
        ]
        term = node.disk.entries[-1].term if entries else 0
        node.disk.hard_state = HardState(term, NONE, int(commit))
        node.start()
        self.members[node.id] = node
        return ""

    def do_elect(self, member: str, *others: str) -> str:
        """elect 2 3 4: after an election timeout, member 2 campaigns and can reach 3 and 4."""
        for number in others:
            raft = self._node(number).raft
            raft.election_elapsed = raft.config.election_ticks
        election.campaign(self._node(member).raft)
        self.do_stabilize(member, *others)
        return describe.status(self._node(member)).splitlines()[0]

    def do_configure(self, member: str, **sets: str) -> str:
        """configure 1 voters=1,2,3 learners=4: member 1 asks for these members."""
        groups = {name: frozenset(map(int, ids.split(","))) for name, ids in sets.items()}
        node = self._node(member)
        try:
            node.propose_configuration(node.configuration, Configuration(**groups), request=1)
        except ProposalRefused as error:
            return f"refused, {describe.refusal(error.reason)}: {error}"
        return ""

    def do_step_down(self, member: str) -> str:
        """step-down 1: member 1 cannot write."""
        self._node(member).step_down()
        return ""

    def do_campaign(self, member: str) -> str:
        """campaign 1: as if its election timeout had passed."""
        self._node(member).campaign_now()
        return ""

    def do_tick(self, member: str, count: str = "1") -> str:
        """tick 1 10: so much time passes for member 1 alone."""
        for _ in range(int(count)):
            self._node(member).tick()
        return ""

    def do_timeout(self, member: str) -> str:
        """timeout 2: ticks until member 2 stands for election, or steps down."""
        node = self._node(member)
        node.tick()
        while node.raft.election_elapsed:
            node.tick()
        return ""

    def do_propose(self, member: str, *commands: str) -> str:
        """propose 1 a b: two commands in one go."""
        try:
            self._node(member).propose([command.encode() for command in commands], request=1)
        except ProposalRefused as error:
            return f"refused: {error}"
        return ""

    def do_read(self, member: str, request: str) -> str:
        """read 2 7: member 2 asks for an index to read at, as its request 7."""
        return "" if self._node(member).read_index(int(request)) else "no leader"

    def do_transfer(self, member: str, target: str = "0") -> str:
        """transfer 1 2: member 1 asks that member 2 should lead."""
        self._node(member).transfer_leadership(int(target))
        return ""

    def do_ready(self, member: str) -> str:
        """ready 1: take one Ready; its messages leave, its write begins and is not done."""
        ready = self._take_ready(int(member))
        return "nothing" if ready is None else describe.ready(ready)

    def do_persist(self, member: str) -> str:
        """persist 1: everything that member 1 has begun to write is on disk."""
        writer = self.members[int(member)]
        messages = [each for _ in range(len(writer.writes)) for each in writer.persist()]
        self._send(messages)
        return "\n".join(f"send {describe.message(each)}" for each in messages)

    def do_deliver(self, member: str) -> str:
        """deliver 2: everything under way to member 2 arrives, in order."""
        return "\n".join(self._deliver(int(member)))

    def do_drop(self, member: str) -> str:
        """drop 2: everything under way to member 2 is lost."""
        lost = [each for each in self.network if each.to == int(member)]
        self.network = [each for each in self.network if each.to != int(member)]
        return "\n".join(f"lost {describe.message(each)}" for each in lost)

    def do_stabilize(self, *members: str, quiet: str = "no") -> str:
        """stabilize [2 3] [quiet=yes]: go on until nothing happens any more (among 2 and 3)."""
        ids = [int(member) for member in members] or sorted(self.members)
        lines: list[str] = []
        while step := [line for number in ids for line in self._advance(number)]:
            lines += step
            assert len(lines) < MAX_LINES, "does not become stable:\n" + "\n".join(lines[-20:])
        return "" if quiet == "yes" else "\n".join(lines)

    def do_status(self, *members: str) -> str:
        ids = [int(member) for member in members] or sorted(self.members)
        return "\n".join(describe.status(self.members[number].node) for number in ids)

    def do_log(self, *members: str) -> str:
        ids = [int(member) for member in members] or sorted(self.members)
        return "\n".join(self._log(self.members[number]) for number in ids)

    def do_terms(self, *members: str) -> str:
        """Logs as the papers draw them: the terms of the entries, those in brackets committed."""
        ids = [int(member) for member in members] or sorted(self.members)
        return "\n".join(self._terms(self.members[number]) for number in ids)

    def do_members(self, *members: str) -> str:
        """members [1 2]: which configuration is in force, for these."""
        ids = [int(member) for member in members] or sorted(self.members)
        return "\n".join(self._members(self.members[number]) for number in ids)

    def do_cut(self, *members: str) -> str:
        """cut 1 2: nothing passes between these two and the others."""
        self.cut = {int(member) for member in members}
        return ""

    def do_heal(self) -> str:
        """heal: the way is open again."""
        self.cut.clear()
        return ""

    def do_crash(self, member: str) -> str:
        """crash 1: member 1 ends, and what it had not finished writing is lost."""
        self.members[int(member)].crash()
        return ""

    def do_restart(self, member: str) -> str:
        """restart 1: member 1 starts from its disk."""
        self.members[int(member)].start()
        return describe.status(self._node(member))

    def do_snapshot(self, member: str, keep: str = "0") -> str:
        """snapshot 1 keep=2: save a snapshot, drop all entries but the last two it covers."""
        snapshot = self.members[int(member)].save_snapshot(int(keep))
        return "nothing new" if snapshot is None else describe.snapshot(snapshot)

    def do_unreachable(self, member: str, peer: str) -> str:
        """unreachable 1 2: member 1 is told that messages to 2 were lost."""
        self._node(member).unreachable(int(peer))
        return ""

    def do_snapshot_failed(self, member: str, peer: str) -> str:
        """snapshot-failed 1 2: member 1 is told that its stream to 2 broke."""
        self._node(member).snapshot_sent(int(peer), ok=False)
        return ""

    def _node(self, member: str):  # type: ignore[no-untyped-def]
        return self.members[int(member)].node

    def _take_ready(self, number: int) -> Ready | None:
        ready = self.members[number].take_ready()
        if ready is not None:
            self._send(ready.messages)
        return ready

    def _advance(self, number: int) -> Iterator[str]:
        member = self.members[number]
        if not member.running:
            return
        yield from self._deliver(number)
        while (ready := self._take_ready(number)) is not None:
            yield describe.ready(ready)
        while member.writes:
            self._send(member.persist())

    def _send(self, messages: list[Message] | tuple[Message, ...]) -> None:
        self.network += [each for each in messages if not self._crosses(each)]

    def _crosses(self, message: Message) -> bool:
        return (message.sender in self.cut) != (message.to in self.cut)

    def _deliver(self, number: int) -> list[str]:
        arriving = [each for each in self.network if each.to == number]
        self.network = [each for each in self.network if each.to != number]
        member = self.members[number]
        if not member.running:
            return []
        arriving = [each for each in arriving if not self._crosses(each)]
        for message in arriving:
            member.node.step(message)
            if isinstance(message, InstallSnapshot):
                self.members[message.sender].node.snapshot_sent(number, ok=True)
        return [f"deliver {describe.message(message)}" for message in arriving]

    def _log(self, member: Member) -> str:
        log = member.node.raft.log
        entries = log.slice(log.first_index, sys.maxsize)
        return f"{member.id}: from {log.first_index} {describe.entries(entries)}"

    def _terms(self, member: Member) -> str:
        log = member.node.raft.log
        terms = [entry.term for entry in log.slice(log.first_index, sys.maxsize)]
        words = [f"({log.first_index - 1} compacted)"] if log.first_index > 1 else []
        committed = log.committed - log.first_index + 1
        words += [f"[{' '.join(map(str, terms[:committed]))}]"] if committed else []
        words += map(str, terms[committed:])
        return f"{member.id}: " + " ".join(words)

    def _members(self, member: Member) -> str:
        raft = member.node.raft
        known = "" if raft.configuration_committed else ", not known to be committed"
        return f"{member.id}: {describe.configuration(raft.configuration)}{known}"


def play(scenario: str) -> str:
    """Run a scenario; return it with the output that its commands gave."""
    interaction = Interaction()
    lines: list[str] = []
    in_output = False
    for line in scenario.splitlines():
        if line.startswith(">"):
            lines.append(line)
            lines += interaction.run(line[1:]).splitlines()
            in_output = True
        elif not line.strip():
            lines.append("")
            in_output = False
        elif not in_output:
            lines.append(line)
    return "\n".join(lines) + "\n"


def main() -> None:
    for path in sorted(SCENARIOS.glob("*.txt")):
        played = play(path.read_text())
        if "--rewrite" in sys.argv:
            path.write_text(played)
        else:
            sys.stdout.write(played)


if __name__ == "__main__":
    main()
