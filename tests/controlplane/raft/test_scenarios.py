"""Plays every scenario file; see `interaction` for the format and how to rewrite them."""

from pathlib import Path

import pytest

from podling.controlplane.raft import membership
from tests.controlplane.raft.interaction import SCENARIOS, play


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.txt")), ids=lambda path: path.stem)
def test_scenario_gives_the_output_in_its_file(path: Path) -> None:
    scenario = path.read_text()

    assert play(scenario) == scenario


def test_without_the_rule_of_2015_its_scenario_loses_a_committed_entry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(membership, "_check_free", lambda _: None)

    with pytest.raises(AssertionError, match="conflicts with a committed one"):
        play((SCENARIOS / "thesis_4_1_the_flaw_of_2015.txt").read_text())
