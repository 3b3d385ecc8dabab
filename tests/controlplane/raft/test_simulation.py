"""Seeded runs of a whole cluster, and proof that they would find a bug."""

from collections import Counter
from collections.abc import Callable

import pytest

from podling.controlplane.raft import quorum, read_index, replication
from podling.controlplane.raft.log import RaftLog
from podling.controlplane.raft.messages import NONE
from podling.controlplane.raft.state import Raft
from tests.controlplane.raft.simulation import Simulation

STEPS = 3000


def test_invariants_hold_under_many_seeds() -> None:
    happened: Counter[str] = Counter()
    for seed in range(250):
        simulation = Simulation(seed)
        try:
            simulation.run(STEPS)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        happened += simulation.steps

    assert happened["crash"] > 100
    assert happened["compact"] > 100


def test_a_seed_replays_exactly() -> None:
    runs = [Simulation(7), Simulation(7)]
    for simulation in runs:
        simulation.run(STEPS)

    assert runs[0].committed == runs[1].committed
    assert runs[0].steps == runs[1].steps


def commit_without_majority(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        replication, "committed_index", lambda _, acknowledged: max(acknowledged.values())
    )


def forget_votes(patch: pytest.MonkeyPatch) -> None:
    step = Raft.become_follower

    def forgetful(raft: Raft, term: int, leader: int = NONE) -> None:
        step(raft, term, leader)
        raft.vote = NONE

    patch.setattr(Raft, "become_follower", forgetful)
    patch.setattr(quorum, "_majority", lambda voters: max(len(voters) // 2, 1))


def answer_before_the_disk(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Raft, "send", lambda raft, message: raft.outbox.messages.append(message))


def vote_for_short_logs(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(RaftLog, "is_up_to_date", lambda *_: True)


def read_without_asking(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(read_index, "has_quorum", lambda *_: True)


@pytest.mark.parametrize(
    "plant",
    [
        commit_without_majority,
        forget_votes,
        answer_before_the_disk,
        vote_for_short_logs,
        read_without_asking,
    ],
)
def test_a_planted_bug_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)

    with pytest.raises(AssertionError):
        for seed in range(400):
            Simulation(seed).run(STEPS)
