"""What the CRI server and the launcher say to each other over a Unix socket. Pure.

A frame is four bytes of length (big-endian) and a JSON object. The launcher speaks first:

    <- {"launcher": 1, "capabilities": {...}}
    -> {"call": 1, "do": "watch"}
    <- {"call": 1, "result": {"processes": [...]}}       every process the launcher remembers
    -> {"call": 2, "do": "start", "id": "c1", "spec": {"argv": ["sleep", "9"], ...}}
    <- {"call": 2, "result": {"process": {"id": "c1", "pid": 4711, ...}}}
    <- {"exited": {"id": "c1", "exit_code": 0, ...}}      to every connection that watches
    <- {"call": 3, "error": {"code": "not_found", "message": "..."}}

`do` is one of `watch`, `start`, `stop`, `exec`, `forget`, `reopen_log`, `cancel`. Answers come in
any order; `call` tells which is which.
"""

import json
import struct
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

VERSION = 1
"""Raised with every change that an older side would misread; both sides refuse another's."""

FRAME_LIMIT = 64 * 1024 * 1024
"""Bytes: an exec answer with 16 MiB of each output, in base64, and room to spare."""

_LENGTH = struct.Struct(">I")
HEADER_SIZE = _LENGTH.size

#: The address of the unknown: `internal` is everything that has no better name.
ErrorCode = Literal["not_found", "exists", "invalid", "not_running", "start_failed", "internal"]


class ProtocolError(Exception):
    """The other side sent what this version does not understand."""


class LauncherError(Exception):
    """The launcher refuses or failed a call; the text is for people."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code: ErrorCode = code


@dataclass(frozen=True, slots=True)
class Bind:
    """One file or folder of the node that the process sees at `target`."""

    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """A process to start."""

    argv: tuple[str, ...]
    env: dict[str, str]
    """The whole environment; `PATH` in it finds `argv[0]`."""
    cwd: str
    log_path: str = ""
    """Where output goes, in CRI's log format; empty: nowhere."""
    binds: tuple[Bind, ...] = ()
    scratch: str = ""
    """An empty folder of its own, on which mounts may be built; needed where `binds` are."""
    user: int | None = None
    """User id to run as; None: the launcher's own."""
    group: int | None = None
    groups: tuple[int, ...] = ()
    no_new_privileges: bool = False


@dataclass(frozen=True, slots=True)
class ExecSpec:
    """A command to run beside a process: in its mount namespace, as its user, with its marker."""

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    timeout: float = 0.0
    """Seconds; 0: none."""


@dataclass(frozen=True, slots=True)
class ExecResult:
    exit_code: int
    stdout: bytes
    stderr: bytes
    timed_out: bool = False


@dataclass(slots=True)
class ProcessRecord:
    """One process as the launcher remembers it, on disk and on the wire. Times: ns since epoch."""

    id: str
    pid: int
    start_ticks: int
    """Together with `pid` and the boot, names the process for ever."""
    boot_id: str
    started_at: int
    finished_at: int = 0
    """0 while it runs."""
    exit_code: int = 0
    """128 + n when signal n ended it; 127 and 126 when it was not found or could not be run; 128
    when what should surround it could not be set up."""
    signal: int = 0
    message: str = ""
    """Why it never ran or how it was lost; empty after an ordinary end."""
    ran: bool = False
    """Whether the exec took place."""
    has_namespace: bool = field(default=False)
    """Whether it sees mounts of its own."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def record_from_json(values: Any) -> ProcessRecord:
    """Raises ProtocolError if `values` is not a record of this version."""
    try:
        record = ProcessRecord(**values)
        wanted = (str, int, int, str, int, int, int, int, str, bool, bool)
        names = ProcessRecord.__slots__
        if any(
            type(getattr(record, name)) is not kind
            for name, kind in zip(names, wanted, strict=True)
        ):
            raise TypeError("a field has the wrong type")
    except TypeError as error:
        raise ProtocolError(f"not a process record: {error}") from None
    return record


def spec_from_json(values: dict[str, Any]) -> ProcessSpec:
    try:
        return ProcessSpec(
            **{
                **values,
                "argv": tuple(values["argv"]),
                "binds": tuple(Bind(**bind) for bind in values.get("binds", ())),
                "groups": tuple(values.get("groups", ())),
            }
        )
    except (TypeError, KeyError) as error:
        raise ProtocolError(f"not a process specification: {error}") from None


def exec_from_json(values: dict[str, Any]) -> ExecSpec:
    try:
        return ExecSpec(**{**values, "argv": tuple(values["argv"])})
    except (TypeError, KeyError) as error:
        raise ProtocolError(f"not an exec specification: {error}") from None


def encode(message: dict[str, Any]) -> bytes:
    body = json.dumps(message, separators=(",", ":")).encode()
    if len(body) > FRAME_LIMIT:
        raise ProtocolError(f"a message of {len(body)} bytes is longer than {FRAME_LIMIT}")
    return _LENGTH.pack(len(body)) + body


def body_size(header: bytes) -> int:
    size: int = _LENGTH.unpack(header)[0]
    if size > FRAME_LIMIT:
        raise ProtocolError(f"a message of {size} bytes is longer than {FRAME_LIMIT}")
    return size


def decode(body: bytes) -> dict[str, Any]:
    try:
        message = json.loads(body)
    except ValueError as error:
        raise ProtocolError(f"not JSON: {error}") from None
    if not isinstance(message, dict):
        raise ProtocolError("not a JSON object")
    return message
