"""Every scenario file gives the output written in it (see `interpreter`)."""

from pathlib import Path

import pytest

from tests.controlplane.store.interpreter import SCENARIOS, replay


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.txt")), ids=lambda path: path.stem)
def test_scenario_gives_the_output_written_in_it(path: Path) -> None:
    text = path.read_text()
    assert replay(text) == text
