"""Seeded runs of a whole cluster, and proof that they would find a bug."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from podling.controlplane.raft import election, quorum, read_index, replication
from podling.controlplane.raft.configuration_history import ConfigurationHistory
from podling.controlplane.raft.core import HANDLERS
from podling.controlplane.raft.log import RaftLog
from podling.controlplane.raft.messages import NONE, VoteRequest
from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.raft.state import Raft
from podling.controlplane.raft.storage import StoredState
from tests.controlplane.raft.member import Durable
from tests.controlplane.raft.simulation import Simulation

STEPS = 4000


def test_invariants_hold_under_many_seeds() -> None:
    happened: Counter[str] = Counter()
    for seed in range(120):
        simulation = Simulation(seed)
        try:
            simulation.run(STEPS)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        happened += simulation.steps

    for event in ("crash", "compact", "cut_off", "reconfigured"):
        assert happened[event] > 300, event


def test_a_seed_replays_exactly() -> None:
    runs = [Simulation(7), Simulation(7)]
    for simulation in runs:
        simulation.run(STEPS)

    assert runs[0].committed == runs[1].committed
    assert runs[0].steps == runs[1].steps


def commit_without_quorum(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        replication, "committed_index", lambda _, acknowledged: max(acknowledged.values())
    )


def count_learners(patch: pytest.MonkeyPatch) -> None:
    def with_learners(configuration: Configuration, acknowledged: Mapping[int, int]) -> int:
        everybody = replace(configuration, voters=configuration.voters | configuration.learners)
        return quorum.committed_index(everybody, acknowledged)

    patch.setattr(replication, "committed_index", with_learners)


def decide_by_the_new_voters_alone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Configuration, "halves", lambda configuration: (configuration.voters,))


def vote_twice(patch: pytest.MonkeyPatch) -> None:
    def generous(raft: Raft, request: VoteRequest) -> None:
        raft.vote = raft.leader = NONE
        election.handle_vote_request(raft, request)

    for handlers in HANDLERS.values():
        patch.setitem(handlers, VoteRequest, generous)  # type: ignore[arg-type]


def forget_the_vote_in_a_crash(patch: pytest.MonkeyPatch) -> None:
    stored = Durable.stored

    def forgetful(disk: Durable) -> StoredState:
        state = stored(disk)
        return replace(state, hard_state=replace(state.hard_state, vote=NONE))

    patch.setattr(Durable, "stored", forgetful)


def vote_for_short_logs(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(RaftLog, "is_up_to_date", lambda *_: True)


def answer_before_the_disk(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Raft, "send", lambda raft, message: raft.outbox.messages.append(message))


def read_without_asking(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(read_index, "has_quorum", lambda *_: True)


def two_changes_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Raft, "configuration_committed", True)


def read_before_committing_in_the_term(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Raft, "has_committed_in_term", True)


def keep_a_configuration_that_is_overwritten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ConfigurationHistory, "cut", lambda *_: None)


FIRST_SEEDS = {
    commit_without_quorum: 0,
    count_learners: 290,
    decide_by_the_new_voters_alone: 275,
    vote_twice: 0,
    forget_the_vote_in_a_crash: 330,
    vote_for_short_logs: 0,
    answer_before_the_disk: 0,
    read_without_asking: 930,
    read_before_committing_in_the_term: 0,
    two_changes_at_once: 80,
    keep_a_configuration_that_is_overwritten: 0,
}
"""Where to begin, to keep the test short; a thousand seeds in a row find each."""


@pytest.mark.parametrize("plant", FIRST_SEEDS, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    first = FIRST_SEEDS[plant]

    with pytest.raises(AssertionError):
        for seed in range(first, first + 600):
            Simulation(seed).run(STEPS)
