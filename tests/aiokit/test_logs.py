"""One format for the logs of all processes."""

import asyncio
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from grpc._cython import cygrpc

from podling.aiokit import logs
from podling.aiokit.logs import LineFormatter


@pytest.fixture
def restored_logging() -> Iterator[None]:
    """Gives back what `configure` changes for the whole process."""
    root = logging.getLogger()
    filtered = [logging.getLogger(name) for name in ("aiohttp.server", "grpc._cython.cygrpc")]
    handlers, level, filters = root.handlers[:], root.level, [each.filters[:] for each in filtered]
    yield
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:] = handlers
    for each, before in zip(filtered, filters, strict=True):
        each.filters[:] = before
    root.setLevel(level)


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


@pytest.mark.usefixtures("restored_logging")
async def test_a_client_that_does_not_speak_http_is_told_in_a_line(tmp_path: Path) -> None:
    logs.configure("replica-1", outputs=[str(tmp_path / "log")])
    async with TestServer(web.Application()) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        await reader.read()
        writer.close()

    (line,) = (tmp_path / "log").read_text().splitlines()
    assert "WARNING replica-1 aiohttp.server: Error handling request from 127.0.0.1: 4" in line


@pytest.mark.usefixtures("restored_logging")
def test_a_client_of_grpc_that_did_not_wait_for_its_answer_is_not_told_of(tmp_path: Path) -> None:
    logs.configure("replica-1", outputs=[str(tmp_path / "log")])
    # As the library does where its batch of operations fails, and for a defect of ours.
    library = logging.getLogger("grpc._cython.cygrpc")
    library.error("raised by servicer method", exc_info=cygrpc.ExecuteBatchError(("send",)))
    library.error("raised by servicer method", exc_info=ValueError("ours"))
    told = (tmp_path / "log").read_text()
    assert told.count("ERROR") == 1
    assert told.endswith("ValueError: ours\n")
