"""Proposals of this replica: from the call that proposes to the result of applying.

A command travels in an envelope with the proposer's id, new at every start, and a sequence number,
so that every replica sees whose it is, and the one that proposed it finds the caller.

A proposal is bound to the term in which it was appended by this replica or passed on: a leader of
another term refuses it. Entries' terms never decrease along a log. So when an entry of a later term
is applied and the proposal has not been, it is lost for certain, and may be proposed again:

    handed over in term 3   entry of term 3 applied, the proposal's own   -> its result
                            entry of term 4 applied                       -> lost: back in line
                            time is up                                    -> unknown
"""

import asyncio
import struct
from collections import deque
from dataclasses import dataclass

from podling.controlplane.raft.messages import ENTRY_OVERHEAD
from podling.controlplane.replica.errors import (
    NoLeader,
    ProposalTimeout,
    ProposalTooLarge,
    ReplicaError,
    TooManyProposals,
)

VERSION = 1
_HEAD = struct.Struct("<BQ")
_SEQUENCE = struct.Struct("<Q")
_COMMAND_AT = _HEAD.size + _SEQUENCE.size


class UnknownEnvelope(ValueError):
    """A committed command in an envelope of a newer version."""


@dataclass(slots=True, eq=False)
class Proposal:
    """One command on its way."""

    sequence: int
    data: bytes
    """The command in its envelope."""
    future: "asyncio.Future[object]"
    deadline: float
    """Event loop time."""
    term: int = 0
    """In which it was handed over; 0 while it stands in line."""


def command_of(data: bytes) -> bytes:
    """The command in an envelope; raises UnknownEnvelope."""
    if len(data) < _COMMAND_AT or data[0] != VERSION:
        raise UnknownEnvelope(
            f"a command of format {data[0] if data else None}, this program knows {VERSION}: "
            "a newer replica proposed it; upgrade this one"
        )
    return data[_COMMAND_AT:]


class Proposals:
    """All proposals of this replica that wait for their result."""

    def __init__(
        self, proposer: int, *, max_count: int, max_bytes: int, max_command_bytes: int
    ) -> None:
        self._head = _HEAD.pack(VERSION, proposer)
        self._max_count = max_count
        self._max_bytes = max_bytes
        self._max_command_bytes = max_command_bytes
        self.failed = 0
        """How many ended without a result."""
        self._sequence = 0
        self._bytes = 0
        self._line: deque[Proposal] = deque()
        """Not handed over yet."""
        self._handed: dict[int, Proposal] = {}
        """By sequence."""
        self._passed_on: dict[int, list[Proposal]] = {}
        """By the number of the request to the leader."""

    def __len__(self) -> int:
        return len(self._line) + len(self._handed)

    @property
    def waiting(self) -> bool:
        """Whether any stand in line."""
        return bool(self._line)

    @property
    def in_line(self) -> int:
        """How many stand in line."""
        return len(self._line)

    @property
    def on_their_way(self) -> bool:
        """Whether any are handed over and not applied yet."""
        return bool(self._handed)

    def add(self, command: bytes, future: "asyncio.Future[object]", deadline: float) -> Proposal:
        """Put a command in line; raises ProposalTooLarge or TooManyProposals."""
        size = len(command)
        if size > self._max_command_bytes:
            raise ProposalTooLarge(f"{size} bytes; at most {self._max_command_bytes} are allowed")
        if len(self) >= self._max_count or self._bytes + size > self._max_bytes:
            raise TooManyProposals(
                f"{len(self)} proposals of {self._bytes} bytes wait for their result"
            )
        self._sequence += 1
        data = self._head + _SEQUENCE.pack(self._sequence) + command
        proposal = Proposal(self._sequence, data, future, deadline)
        self._line.append(proposal)
        self._bytes += size
        return proposal

    def forget(self, proposal: Proposal) -> None:
        """Nobody waits for it any more."""
        if proposal.term:
            if self._handed.pop(proposal.sequence, None) is not None:
                self._release(proposal)
        elif proposal in self._line:
            self._line.remove(proposal)
            self._release(proposal)

    def take(self, max_bytes: int) -> list[Proposal]:
        """The first in line, at least one, as far as `max_bytes` go."""
        taken: list[Proposal] = []
        size = 0
        while self._line:
            size += len(self._line[0].data) + ENTRY_OVERHEAD
            if taken and size > max_bytes:
                break
            taken.append(self._line.popleft())
        return taken

    def put_back(self, proposals: list[Proposal]) -> None:
        """To the head of the line, in their order: they have not been written."""
        for proposal in proposals:
            proposal.term = 0
        self._line.extendleft(reversed(proposals))

    def handed_over(self, proposals: list[Proposal], term: int, request: int) -> None:
        """They are in this replica's log (`request` 0) or on their way to the leader of `term`."""
        for proposal in proposals:
            proposal.term = term
            self._handed[proposal.sequence] = proposal
        if request:
            self._passed_on[request] = proposals

    def refused(self, request: int) -> None:
        """The leader has not taken them."""
        proposals = self._passed_on.pop(request, [])
        again = [each for each in proposals if self._handed.pop(each.sequence, None) is not None]
        self.put_back(again)

    def applied(self, data: bytes, result: object) -> None:
        """The command in this envelope was applied; tell whoever waits here, if anybody does."""
        if not data.startswith(self._head):
            return
        (sequence,) = _SEQUENCE.unpack_from(data, _HEAD.size)
        proposal = self._handed.pop(sequence, None)
        if proposal is not None:
            self._release(proposal)
            if not proposal.future.done():
                proposal.future.set_result(result)

    def entered_term(self, term: int) -> None:
        """An entry of `term` was applied: what was handed over in an earlier one is lost."""
        lost = [each for each in self._handed.values() if each.term < term]
        for proposal in lost:
            del self._handed[proposal.sequence]
        self._passed_on = {
            request: proposals
            for request, proposals in self._passed_on.items()
            if proposals[0].term >= term
        }
        self.put_back(lost)

    def outcome_unknown(self, reason: str) -> None:
        """What was handed over may or may not have been applied."""
        for proposal in list(self._handed.values()):
            self._fail(proposal, ProposalTimeout(reason))
        self._handed.clear()
        self._passed_on.clear()

    def expire(self, now: float) -> None:
        """Answer those whose time is up."""
        while self._passed_on and self._is_over(next(iter(self._passed_on))):
            del self._passed_on[next(iter(self._passed_on))]
        for proposal in [each for each in self._handed.values() if each.deadline <= now]:
            del self._handed[proposal.sequence]
            self._fail(proposal, ProposalTimeout("no answer in time; it may be written yet"))
        expired = [each for each in self._line if each.deadline <= now]
        for proposal in expired:
            self._line.remove(proposal)
            self._fail(proposal, NoLeader("no leader took the proposal in time"))

    def close(self, error: ReplicaError) -> None:
        """Fail everything: with `error` what stands in line, as unknown what was handed over."""
        self.outcome_unknown(str(error))
        while self._line:
            self._fail(self._line.popleft(), error)

    def _is_over(self, request: int) -> bool:
        return all(each.sequence not in self._handed for each in self._passed_on[request])

    def _fail(self, proposal: Proposal, error: ReplicaError) -> None:
        self.failed += 1
        self._release(proposal)
        if not proposal.future.done():
            proposal.future.set_exception(error)

    def _release(self, proposal: Proposal) -> None:
        self._bytes -= len(proposal.data) - _COMMAND_AT
