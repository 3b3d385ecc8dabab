"""Why a process of the cluster ended: what its log says since it was started."""

import os
from pathlib import Path

from podling.launcher.layout import Layout

TAIL_LINES = 15
TAIL_BYTES = 64 * 1024
GRAVE = ("ERROR", "CRITICAL")


def end_of(layout: Layout, name: str) -> int:
    """Where the log of the process ends now; its next life begins there."""
    try:
        return layout.log(name).stat().st_size
    except OSError:
        return 0


def reason(layout: Layout, name: str, since: int = 0) -> str:
    """What the process complained of after `since`, or its last words if it did not complain.

    Tracebacks stay in the log, whose path is the last line.
    """
    path = layout.log(name)
    lines = _last_lines(path, since)
    grave = [line for line in lines if line.split()[1:2] and line.split()[1] in GRAVE]
    return "\n".join([*(grave or lines)[-TAIL_LINES:], f"(the whole log: {path})"])


def _last_lines(path: Path, since: int) -> list[str]:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(since if since <= size else 0, size - TAIL_BYTES))
            return file.read().decode(errors="replace").splitlines()
    except OSError as error:
        return [f"(its log cannot be read: {error})"]
