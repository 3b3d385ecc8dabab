"""One structured log format for every process, a line a record: when, how grave, whose, what.

    2026-01-31T12:00:00.123Z INFO    replica-1 podling.controlplane.replica.driver: replica-1 is ...

The process's name stands in every line, so that the logs of a cluster can be merged and sorted. The
component is the module; the text says what happened to what, and the cause behind a colon.
"""

import logging
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

_HTTP_ERRORS = "aiohttp.http_exceptions"
_GRPC = "grpc._cython.cygrpc"
_LINE_BREAKS = str.maketrans({"\n": "\\n", "\r": "\\r"})
"""What comes from outside must not look like a record of its own."""


class LineFormatter(logging.Formatter):
    """Prints a record as one line (and the lines of its traceback, if it has one)."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        text = (
            f"{when.removesuffix('+00:00')}Z {record.levelname:<7} {self._process} "
            f"{record.name}: {record.getMessage().translate(_LINE_BREAKS)}"
        )
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return text


def configure(process: str, level: str = "INFO", outputs: Sequence[str] = ("stderr",)) -> None:
    """Send all logging of this process to `outputs` as lines of `LineFormatter`.

    An output is `stderr`, `stdout`, or the path of a file, which is added to. Raises OSError.
    """
    handlers = [_handler(output) for output in outputs]
    for handler in handlers:
        handler.setFormatter(LineFormatter(process))
    root = logging.getLogger()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("aiohttp.access").setLevel("WARNING")
    logging.getLogger("aiohttp.server").addFilter(_told_in_a_line)
    logging.getLogger(_GRPC).addFilter(_is_answerable)


def _told_in_a_line(record: logging.LogRecord) -> bool:
    """A client that does not speak HTTP, such as one of gRPC at a port for HTTP, is no defect."""
    error = record.exc_info[1] if record.exc_info else None
    # By its name: most processes that log have no need to import aiohttp.
    if type(error).__module__ == _HTTP_ERRORS:
        record.msg, record.args, record.exc_info = f"{record.getMessage()}: {error}", (), None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True


def _is_answerable(record: logging.LogRecord) -> bool:
    """Not so for a client that has gone before its answer was written, which is no defect."""
    error = record.exc_info[1] if record.exc_info else None
    return (type(error).__module__, type(error).__name__) != (_GRPC, "ExecuteBatchError")


def _handler(output: str) -> logging.Handler:
    if output == "stderr":
        return logging.StreamHandler(sys.stderr)
    return logging.StreamHandler(sys.stdout) if output == "stdout" else logging.FileHandler(output)
