"""`podling simulate store`: what it prints, and what it takes back."""

from pathlib import Path

from click.testing import CliRunner

from podling.cli.simulate import simulate


def test_the_seed_comes_first_then_what_happened() -> None:
    result = CliRunner().invoke(simulate, ["store", "--seed", "3", "--steps", "20"])

    first, second = result.output.splitlines()
    assert first == "seed 3, 20 events"
    assert second.startswith("  all is well: ")
    assert result.exit_code == 0


def test_a_seed_is_drawn_if_none_is_given() -> None:
    outputs = {
        CliRunner().invoke(simulate, ["store", "--steps", "0"]).output.splitlines()[0]
        for _ in range(3)
    }

    assert len(outputs) == 3


def test_a_short_failing_schedule_is_printed_saved_and_fails_when_replayed(tmp_path: Path) -> None:
    saved = tmp_path / "short.json"
    options = ["--plant", "commit-without-quorum", "--save", str(saved)]
    found = CliRunner().invoke(
        simulate, ["store", "--seed", "0", "--seeds", "30", "--steps", "40", *options]
    )
    replay = ["store", "--schedule", str(saved)]
    again = CliRunner().invoke(simulate, [*replay, "--plant", "commit-without-quorum"])
    honest = CliRunner().invoke(simulate, replay)

    assert found.exit_code == again.exit_code == 1
    assert "  as it is with " in found.output
    assert "  violated: " in again.output
    assert honest.exit_code == 0


def test_a_file_that_is_no_schedule_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text("{}")
    result = CliRunner().invoke(simulate, ["store", "--schedule", str(path)])

    assert result.exit_code == 1
    assert f"Error: {path}: not a schedule of a simulation" in result.output
