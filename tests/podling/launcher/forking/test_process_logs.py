"""What is told of a process that ended: its complaint, not its traceback, and none of old lives."""

from pathlib import Path

import pytest

from podling.launcher.forking import process_logs
from podling.launcher.layout import Layout

INFO = "2026-01-31T12:00:00.123Z INFO    x podling.a: all is well"
ERROR = "2026-01-31T12:00:00.124Z ERROR   x podling.a: the disk is full"
TRACE = 'Traceback (most recent call last):\n  File "a.py", line 1\nOSError: 28'


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout.at(tmp_path)
    layout.create()
    return layout


def test_a_complaint_is_told_without_its_traceback(layout: Layout) -> None:
    path = layout.log("x")
    path.write_text("\n".join([INFO, ERROR, TRACE, INFO]) + "\n")
    assert process_logs.reason(layout, "x") == f"{ERROR}\n(the whole log: {path})"


def test_without_a_complaint_the_last_words_are_told(layout: Layout) -> None:
    layout.log("x").write_text(f"{INFO}\n" * 100 + TRACE)
    said = process_logs.reason(layout, "x").splitlines()
    assert said[-2] == "OSError: 28"
    assert len(said) == process_logs.TAIL_LINES + 1


def test_what_was_said_in_an_earlier_life_is_not_told(layout: Layout) -> None:
    path = layout.log("x")
    path.write_text(ERROR + "\n")
    since = process_logs.end_of(layout, "x")
    with path.open("a") as log:
        log.write(INFO + "\n")
    assert process_logs.reason(layout, "x", since).splitlines()[0] == INFO


def test_a_log_that_is_missing_unreadable_or_begun_anew_does_no_harm(layout: Layout) -> None:
    assert process_logs.end_of(layout, "x") == 0
    assert "cannot be read" in process_logs.reason(layout, "x")
    layout.log("x").write_text(ERROR)
    assert ERROR in process_logs.reason(layout, "x", since=10_000)
