"""One format for the logs of all processes."""

import logging
import re
import sys

from podling.aiokit.logs import LineFormatter


def record(message: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("podling.part", logging.INFO, "f.py", 1, message, arguments, None)


def test_a_record_is_a_line_with_time_level_process_and_component() -> None:
    line = LineFormatter("replica-1").format(record("became leader term=%d", 4))
    pattern = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO    replica-1 podling\.part: became .*=4"
    assert re.fullmatch(pattern, line), line


def test_what_comes_from_outside_cannot_add_a_line() -> None:
    line = LineFormatter("node-1").format(record("cannot find %s", "pod\r\n2026 ERROR forged"))
    assert line.endswith(r"podling.part: cannot find pod\r\n2026 ERROR forged")


def test_an_exception_follows_its_line() -> None:
    try:
        raise ValueError("why")
    except ValueError:
        failed = record("failed")
        failed.exc_info = sys.exc_info()
    first, *rest = LineFormatter("node-1").format(failed).splitlines()
    assert first.endswith("podling.part: failed")
    assert rest[-1] == "ValueError: why"
