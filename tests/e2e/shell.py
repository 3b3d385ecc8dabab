"""The command line, as a user has it."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.e2e.waiting import eventually

PODLING = Path(sys.executable).with_name("podling")
UP_PATIENTLY = ("--timeout", "150")
NETWORK_TAKEN = "where this cluster's API server listens, is in use by another program"


class Shell:
    """Runs `podling --dir D ...`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self, *arguments: str, fails: bool = False, taken: bool = False) -> str:
        """What it says. While a cluster is down another test's may get its network, unless that is
        what the test is about (`taken`): then its end is waited for."""
        done = self._run(arguments)
        if NETWORK_TAKEN in done.stderr and not taken:
            again: list[subprocess.CompletedProcess[str]] = []

            def free() -> bool:
                again[:] = [self._run(arguments)]
                return NETWORK_TAKEN not in again[0].stderr

            eventually(free, 60, lambda: f"the network of {self.root} to be free")
            (done,) = again
        assert bool(done.returncode) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    def _run(self, arguments: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        patient = arguments[0] == "up" and "--timeout" not in arguments
        return subprocess.run(
            [PODLING, "--dir", self.root, *arguments, *(UP_PATIENTLY if patient else ())],
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
            env=os.environ | {"KUBECACHEDIR": str(self.root.parent / "kubectl-cache")},
        )

    def status(self) -> dict[str, list[dict[str, object]]]:
        seen: dict[str, list[dict[str, object]]] = json.loads(self("status", "-o", "json"))
        return seen

    def processes(self) -> list[int]:
        """Every process that has this cluster's folder in its title, or a pod's marker of it."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and self._belongs(entry):
                found.append(int(entry.name))
        return found

    def wait_until_gone(self) -> None:
        """Wait for the last of its processes to end; they may be a moment behind `down`."""
        eventually(lambda: not self.processes(), 60, lambda: f"{self.processes()} to end")

    def _belongs(self, entry: Path) -> bool:
        try:
            text = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            return False
        return str(self.root).encode() in text
