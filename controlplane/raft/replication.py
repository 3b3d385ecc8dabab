"""Replication: append messages, heartbeats and snapshots, on both ends.

What the leader has to send goes out in `flush`, once per Ready: however many proposals and answers
came in before, each follower gets one message with all the entries and the newest commit index.
"""

from podling.controlplane.raft.log import Compacted
from podling.controlplane.raft.messages import (
    AppendRequest,
    AppendResponse,
    Heartbeat,
    HeartbeatResponse,
    InstallSnapshot,
    TimeoutNow,
    size_of,
)
from podling.controlplane.raft.progress import Progress, State
from podling.controlplane.raft.quorum import committed_index
from podling.controlplane.raft.state import Raft, Role


def maybe_commit(raft: Raft) -> None:
    """LEADER: commit what a majority has, if it is of this term (paper, section 5.4.2)."""
    acknowledged = {member: each.match_index for member, each in raft.progress.items()}
    index = committed_index(raft.configuration, acknowledged)
    if raft.log.matches(index, raft.term) and raft.log.commit_to(index):
        raft.uncommitted.free_to(index)


def own_log_written(raft: Raft) -> None:
    """This member's disk has caught up to `log.stable`."""
    raft.commit_decided_alone()
    if raft.role is Role.LEADER:
        raft.progress[raft.id].acknowledge(raft.log.stable)
        maybe_commit(raft)


def flush(raft: Raft) -> None:
    """LEADER: send every follower what it may be sent now.

    A commit index that is new since the last flush is not told by itself yet: whoever proposed what
    is committed now often proposes the next thing at once, and then it rides along.
    """
    committed, last_index = raft.log.committed, raft.log.last_index
    old_news = raft.flushed_commit == committed
    raft.flushed_commit = committed
    for peer in raft.peers:
        progress = raft.progress[peer]
        told = False
        while progress.next_index <= last_index and not progress.paused:
            _send_append(raft, peer, progress)
            told = True
        if old_news and not told and progress.state is State.REPLICATE:
            knows_less = progress.sent_commit < min(committed, progress.next_index - 1)
            if knows_less:
                _send_append(raft, peer, progress, quiet=True)


def _send_append(raft: Raft, peer: int, progress: Progress, *, quiet: bool = False) -> None:
    """Send the entries from `next_index` on (none if `quiet`), or else the snapshot."""
    previous = progress.next_index - 1
    previous_term = raft.log.term(previous)
    try:
        through = previous if quiet else raft.log.last_index
        max_bytes = raft.config.max_append_bytes
        entries = raft.log.slice(previous + 1, max_bytes, through=through)
    except Compacted:
        previous_term = None
    if previous_term is None:
        _send_snapshot(raft, peer, progress)
        return
    commit = raft.log.committed
    raft.send(
        AppendRequest(raft.id, peer, raft.term, previous, previous_term, entries, commit, quiet)
    )
    last = previous + len(entries)
    progress.sent(last, size_of(entries))
    progress.sent_commit = max(progress.sent_commit, min(commit, last))


def _send_snapshot(raft: Raft, peer: int, progress: Progress) -> None:
    if not progress.active:
        # Nobody there to take it; its next heartbeat response tries again.
        progress.become_probe()
        progress.probing = True
        return
    progress.become_snapshot(raft.log.snapshot.index)
    raft.send(InstallSnapshot(raft.id, peer, raft.term, raft.log.snapshot))


def handle_append_request(raft: Raft, request: AppendRequest) -> None:
    """FOLLOWER: take entries that fit, or say where the logs may agree."""
    previous, previous_term = request.previous_index, request.previous_term
    index = raft.log.merge(previous, previous_term, request.entries)
    if index is None:
        hint_index, hint_term = raft.log.conflict_hint(previous, previous_term)
        raft.send(
            AppendResponse(
                raft.id, request.sender, raft.term, previous, True, hint_index, hint_term
            )
        )
        return
    raft.log.commit_to(min(request.commit, index))
    if not request.quiet:
        raft.send(AppendResponse(raft.id, request.sender, raft.term, index))


def handle_append_response(raft: Raft, response: AppendResponse) -> None:
    """LEADER: move the follower on, or back up to where the logs may agree."""
    progress = raft.progress.get(response.sender)
    if progress is None:
        return
    progress.active = True
    if response.rejected:
        agree, _ = raft.log.conflict_hint(response.hint_index, response.hint_term)
        if progress.reject(response.index, agree):
            _send_append(raft, response.sender, progress)
        return
    if response.index > raft.log.last_index or not progress.acknowledge(response.index):
        return
    if response.index > raft.log.committed:
        maybe_commit(raft)
    if response.sender == raft.transfer_target and response.index == raft.log.last_index:
        raft.send(TimeoutNow(raft.id, response.sender, raft.term))


def broadcast_heartbeat(raft: Raft) -> None:
    """LEADER: tell everybody that it is there, and ask for the round of reads under way."""
    for peer in raft.peers:
        commit = min(raft.log.committed, raft.progress[peer].match_index)
        raft.send(Heartbeat(raft.id, peer, raft.term, commit, raft.reads.round))


def handle_heartbeat(raft: Raft, heartbeat: Heartbeat) -> None:
    raft.log.commit_to(heartbeat.commit)
    raft.send(HeartbeatResponse(raft.id, heartbeat.sender, raft.term, heartbeat.round))


def revive(raft: Raft, peer: int) -> None:
    """LEADER: a heartbeat was answered, so the way is open: try again what may have been lost."""
    progress = raft.progress.get(peer)
    if progress is None:
        return
    progress.active = True
    progress.probing = False
    if progress.window.full:
        progress.window.free_first()
    behind = progress.match_index < raft.log.last_index
    if progress.state is State.PROBE or (progress.state is State.REPLICATE and behind):
        _send_append(raft, peer, progress)


def handle_install_snapshot(raft: Raft, message: InstallSnapshot) -> None:
    """FOLLOWER: the snapshot file is on disk here; take it unless the log has it all already."""
    snapshot = message.snapshot
    if snapshot.index > raft.log.committed:
        if raft.log.matches(snapshot.index, snapshot.term):
            raft.log.commit_to(snapshot.index)
        else:
            raft.log.restore(snapshot)
    raft.send(AppendResponse(raft.id, message.sender, raft.term, raft.log.committed))


def report_unreachable(raft: Raft, peer: int) -> None:
    """Messages to `peer` were lost: do not run ahead of its answers."""
    progress = raft.progress.get(peer)
    if progress is not None and progress.state is State.REPLICATE:
        progress.become_probe()


def report_snapshot(raft: Raft, peer: int, ok: bool) -> None:
    """The stream of a snapshot to `peer` ended."""
    progress = raft.progress.get(peer)
    if progress is not None:
        progress.snapshot_ended(ok)
