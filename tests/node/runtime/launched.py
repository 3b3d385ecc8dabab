"""A launcher in a process of its own, as a cluster runs it, and its client."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

from podling.aiokit.tasks import TaskSet
from podling.node.runtime.cri.launcher_client import LauncherClient
from podling.node.runtime.launcher import process_table
from podling.node.runtime.launcher.leftovers import kill_leftovers
from podling.node.runtime.launcher.protocol import ProcessRecord, ProcessSpec
from tests.waiting import until

PATH = "/usr/local/bin:/usr/bin:/bin"

MAIN = """
import logging, os, sys
from pathlib import Path
from podling.node.runtime.launcher.launcher import LauncherLimits
from podling.node.runtime.launcher.main import LauncherConfig, run_launcher
logging.basicConfig()
config = LauncherConfig(Path(sys.argv[1]), Path(sys.argv[2]), stop_grace=20.0,
    mount_namespaces=sys.argv[4] == "True",
    limits=LauncherLimits(log_bytes=int(sys.argv[3]), exec_output_bytes=65536))
sys.exit(run_launcher(config, lambda: os.write(1, b"ready")))
"""


class LauncherProcess:
    """One launcher; `close` ends it and everything below it."""

    def __init__(self, folder: Path, log_bytes: int = 1 << 20, mounts: bool = True) -> None:
        self.state_dir = folder / "state"
        self.socket = folder / "launcher.sock"
        self._options = [str(log_bytes), str(mounts)]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> int:
        """Returns its process id, or 0 when it did not come up; then see `errors`."""
        self.process = subprocess.Popen(
            [sys.executable, "-c", MAIN, self.state_dir, self.socket, *self._options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        return self.process.pid if self.process.stdout.read(5) == b"ready" else 0

    def errors(self) -> str:
        """What it had to say, after it ended by itself."""
        assert self.process is not None
        text = self.process.communicate(timeout=30)[1].decode()
        self.process = None
        return text

    def end(self, number: int) -> int:
        """Signal it and wait; returns its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        self.process.communicate(timeout=60)
        code = self.process.returncode
        self.process = None
        return code

    def close(self) -> None:
        if self.process is not None:
            self.end(signal.SIGKILL)
        kill_leftovers(self.state_dir)


class Watcher:
    """A client that remembers what it was told."""

    def __init__(self, path: Path) -> None:
        self.known: dict[str, ProcessRecord] = {}
        self.snapshots = 0
        self.tasks = TaskSet("watcher")
        self.client = LauncherClient(path, random.Random(1), self._snapshot, self._exited)

    async def stop(self) -> None:
        await self.tasks.close()
        await self.client.stop()

    async def ended(self, process_id: str) -> ProcessRecord:
        await until(
            lambda: process_id in self.known and self.known[process_id].finished_at > 0,
            f"the end of {process_id}",
        )
        return self.known[process_id]

    async def run(self, process_id: str, *argv: str, **values: object) -> ProcessRecord:
        """Start a process and wait for its end."""
        await self.client.start_process(process_id, spec(*argv, **values))
        return await self.ended(process_id)

    def _snapshot(self, records: list[ProcessRecord]) -> None:
        self.snapshots += 1
        self.known = {record.id: record for record in records}

    def _exited(self, record: ProcessRecord) -> None:
        self.known[record.id] = record


def spec(*argv: str, **values: object) -> ProcessSpec:
    fields: dict[str, object] = {"env": {"PATH": PATH}, "cwd": "/", **values}
    return ProcessSpec(argv=argv, **fields)  # type: ignore[arg-type]


def alive(pid: int) -> bool:
    found = process_table.stat(pid)
    return found is not None and found.state != "Z"


def read_pid(path: Path) -> int:
    """The process id that a shell wrote into `path`, 0 while it has not."""
    text = path.read_text() if path.exists() else ""
    return int(text) if text.endswith("\n") else 0


def marked(text: str) -> list[int]:
    """Living processes whose command line holds `text`, this one aside."""
    found = []
    for entry in process_table.all_processes():
        try:
            line = Path(f"/proc/{entry.pid}/cmdline").read_bytes()
        except OSError:
            continue
        if text.encode() in line and entry.pid != os.getpid() and entry.state != "Z":
            found.append(entry.pid)
    return found
