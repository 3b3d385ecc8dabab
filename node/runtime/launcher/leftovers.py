"""Ending what a dead launcher left behind.

A container's first process dies with its launcher (PR_SET_PDEATHSIG); its children need not. They
are found again by three signs, each safe against a process id that has been used again:

* the environment marker that every process below a launcher is started with;
* the session of a first process that still lives and has the recorded start time;
* the session of a first process that is gone, if it began after that process did and the machine
  has not made enough processes since to use an id twice.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from podling.node.runtime.launcher import process_table
from podling.node.runtime.launcher.process_files import MARKER, LauncherIdentity, ProcessFiles
from podling.node.runtime.launcher.process_table import Stat
from podling.node.runtime.launcher.protocol import ProcessRecord

ROUNDS = 20
"""A process may fork while its siblings are being killed; a fork storm is given up on then."""

END_TIMEOUT = 2.0
"""Seconds to wait for a killed process to be gone."""


def kill_leftovers(state_dir: Path) -> int:
    """SIGKILL every process that the launcher of `state_dir` left; return how many.

    Blocks until they have ended, so that their ports are free. Call it when the launcher is dead:
    below a living one it ends all containers. A folder without state has no leftovers. Raises
    StateError if the state is damaged, and then kills nothing.
    """
    files = ProcessFiles(state_dir)
    identity = files.load_identity()
    if identity is None:
        return 0
    records = [record for record in files.load() if not record.finished_at]
    killed = 0
    for _ in range(ROUNDS):
        hit = process_table.kill_all(find(identity, records))
        if not hit:
            break
        killed += len(hit)
        process_table.wait_ended(hit, END_TIMEOUT)
    return killed


def find(identity: LauncherIdentity, records: Iterable[ProcessRecord]) -> Iterator[Stat]:
    """The living processes that belong to `records` or bear the launcher's marker."""
    boot_id = process_table.boot_id()
    if identity.boot_id != boot_id:
        return
    sessions = {record.pid: record for record in records if record.boot_id == boot_id}
    living = {
        entry.pid: entry
        for entry in process_table.all_processes()
        if entry.state != "Z" and entry.pid != os.getpid()
    }
    unused = _ids_never_used_twice(identity)
    for entry in living.values():
        record = sessions.get(entry.session)
        if record is not None and entry.start_ticks >= record.start_ticks:
            first = living.get(record.pid)
            alive = first is not None and first.start_ticks == record.start_ticks
            if alive or (first is None and unused):
                yield entry
                continue
        if _is_marked(entry.pid, identity):
            yield entry


def _is_marked(pid: int, identity: LauncherIdentity) -> bool:
    marker = process_table.environment_value(pid, MARKER)
    return marker.startswith(identity.marker + "/")


def _ids_never_used_twice(identity: LauncherIdentity) -> bool:
    forks = process_table.forks_since_boot()
    if identity.forks < 0 or forks < 0:
        return False
    return forks - identity.forks < process_table.ids_before_reuse()
