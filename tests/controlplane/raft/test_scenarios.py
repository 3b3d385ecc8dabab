"""Plays every scenario file; see `interaction` for the format and how to rewrite them."""

from pathlib import Path

import pytest

from tests.controlplane.raft.interaction import SCENARIOS, play


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.txt")), ids=lambda path: path.stem)
def test_scenario_gives_the_output_in_its_file(path: Path) -> None:
    scenario = path.read_text()

    assert play(scenario) == scenario
