"""What a CRI call may fail with. `rpc` turns these into gRPC's status codes."""

from typing import Literal

#: gRPC's names, in lower case.
Code = Literal[
    "already_exists",
    "deadline_exceeded",
    "failed_precondition",
    "invalid_argument",
    "not_found",
    "resource_exhausted",
    "unavailable",
    "unimplemented",
    "unknown",
]


class CriError(Exception):
    """A call cannot be done; the text is for people."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code: Code = code
