"""The launcher's memory on disk: one small JSON file a process, and one for the launcher itself.

    STATE_DIR/lock                    held (flock) by the launcher that lives
    STATE_DIR/launcher.json           {"version": 1, "marker": "…", "boot_id": "…", "forks": 123}
    STATE_DIR/processes/ID.json       {"version": 1, "process": {…}}

Files are 0600, folders 0700. A file is replaced in one step, so it is whole or absent, whenever the
launcher is killed. There is no fsync: after a loss of power no process is left to be found again.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podling.node.runtime.launcher.protocol import ProcessRecord, ProtocolError, record_from_json

VERSION = 1

MARKER = "PODLING_CONTAINER"
"""Environment variable of every process below a launcher: `<launcher's marker>/<process id>`. It
finds those that left their parent and their session."""


class StateError(Exception):
    """A state file is damaged or of another version; the text says what to do."""


@dataclass(frozen=True, slots=True)
class LauncherIdentity:
    """Which launcher made the processes of a state folder, and when."""

    marker: str
    """Unique; the first half of MARKER's value."""
    boot_id: str
    forks: int
    """The machine's fork count when the launcher started, -1 if unknown: while fewer than
    `process_table.ids_before_reuse()` came since, no process id was used twice."""


class ProcessFiles:
    """The files of one launcher."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._processes = state_dir / "processes"

    def prepare(self) -> None:
        self._processes.mkdir(mode=0o700, parents=True, exist_ok=True)

    def load(self) -> list[ProcessRecord]:
        """Every process remembered. Raises StateError."""
        if not self._processes.exists():
            return []
        return [self._load(path) for path in sorted(self._processes.glob("*.json"))]

    def save(self, record: ProcessRecord) -> None:
        write_json(self._path(record.id), {"process": record.to_json()})

    def delete(self, process_id: str) -> None:
        self._path(process_id).unlink(missing_ok=True)

    def load_identity(self) -> LauncherIdentity | None:
        """None if no launcher ever ran here. Raises StateError."""
        path = self._state_dir / "launcher.json"
        if not path.exists():
            return None
        values = read_json(path)
        try:
            return LauncherIdentity(
                str(values["marker"]), str(values["boot_id"]), int(values["forks"])
            )
        except (KeyError, TypeError, ValueError) as error:
            raise damaged(path, f"field {error} is missing or wrong") from None

    def save_identity(self, identity: LauncherIdentity) -> None:
        write_json(
            self._state_dir / "launcher.json",
            {"marker": identity.marker, "boot_id": identity.boot_id, "forks": identity.forks},
        )

    def _load(self, path: Path) -> ProcessRecord:
        values = read_json(path)
        try:
            return record_from_json(values.get("process"))
        except ProtocolError as error:
            raise damaged(path, str(error)) from None

    def _path(self, process_id: str) -> Path:
        return self._processes / f"{process_id}.json"


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Replace `path` in one step with `values` and this module's version; mode 0600."""
    temporary = f"{path}.new"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(json.dumps({"version": VERSION, **values}).encode())
    os.replace(temporary, path)


def read_json(path: Path) -> dict[str, Any]:
    """What `write_json` wrote. Raises StateError if it is anything else."""
    try:
        values = json.loads(path.read_bytes())
    except ValueError as error:
        raise damaged(path, str(error)) from None
    if not isinstance(values, dict):
        raise damaged(path, "it holds no JSON object")
    if values.get("version") != VERSION:
        raise StateError(
            f"{path} has version {values.get('version')!r} and this program reads {VERSION}: "
            "use the program that wrote it, or remove its folder to begin without its pods"
        )
    return values


def damaged(path: Path, why: str) -> StateError:
    return StateError(
        f"{path} is damaged ({why}): remove this file, and what it describes is started afresh"
    )
