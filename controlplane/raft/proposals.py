"""What a leader takes into its log, and how it says that it does not."""

from collections.abc import Sequence

from podling.controlplane.raft.messages import (
    ENTRY_OVERHEAD,
    NONE,
    Entry,
    EntryKind,
    ProposeConfiguration,
    ProposeRefused,
    ProposeRequest,
    Refusal,
)
from podling.controlplane.raft.state import Raft


class ProposalRefused(Exception):
    """Nothing was appended; `reason` is for programs, the text for people."""

    def __init__(self, reason: Refusal, text: str) -> None:
        super().__init__(text)
        self.reason = reason


def append_commands(raft: Raft, commands: Sequence[bytes]) -> int:
    """LEADER: append `commands` to the log; return the index of the first.

    Raises ProposalRefused, with nothing appended, while handing over or with too much uncommitted.
    """
    size = sum(map(len, commands)) + ENTRY_OVERHEAD * len(commands)
    check_takes(raft, size)
    first, term = raft.log.last_index + 1, raft.term
    raft.log.append(
        Entry(index, term, EntryKind.COMMAND, command)
        for index, command in enumerate(commands, start=first)
    )
    raft.uncommitted.add(raft.log.last_index, size)
    return first


def check_takes(raft: Raft, size: int) -> None:
    """LEADER: raise ProposalRefused unless entries of `size` bytes in all may be appended now."""
    if raft.transfer_target != NONE:
        raise ProposalRefused(Refusal.NOT_NOW, "leadership is being handed over")
    if raft.uncommitted and raft.uncommitted.size + size > raft.config.max_uncommitted_bytes:
        raise ProposalRefused(Refusal.NOT_NOW, "too much is waiting to be committed")


def handle_propose_request(raft: Raft, request: ProposeRequest) -> None:
    """LEADER: append what a follower passed on, if it meant this leader's term."""
    try:
        append_commands(raft, request.commands)
    except ProposalRefused as error:
        refuse(raft, request, error.reason)


def refuse(
    raft: Raft, request: ProposeRequest | ProposeConfiguration, reason: Refusal = Refusal.NOT_NOW
) -> None:
    """Tell the sender that nothing was appended."""
    raft.send(ProposeRefused(raft.id, request.sender, raft.term, request.request, reason))


def handle_propose_refused(raft: Raft, message: ProposeRefused) -> None:
    raft.outbox.refused.append((message.request, message.reason))
