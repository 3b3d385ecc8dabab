"""Reaping: learning that processes ended, and taking along everything they leave behind.

The launcher is the parent of every orphan below it (PR_SET_CHILD_SUBREAPER). So when a container's
first process ends, what it leaves is found among the launcher's own children: in the session of the
first process, or bearing the container's marker. All of it is killed, and the end is reported only
when it is gone, as with a container whose process namespace ends. SIGCHLD drives everything; there
is no timer while nothing happens.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Callable

from podling.node.runtime.launcher import process_table
from podling.node.runtime.launcher.process_files import MARKER
from podling.node.runtime.launcher.supervised import Supervised

log = logging.getLogger(__name__)

UNKILLABLE = 2.0
"""Seconds after which an end is reported although something of it still hangs in the kernel."""


class Reaper:
    """The children of this process. Takes SIGCHLD: no other code here may wait for children."""

    def __init__(self, marker: str, on_ended: Callable[[Supervised], None]) -> None:
        """`on_ended` is told once of each supervised process, when nothing of it is left."""
        self._marker = marker
        self._on_ended = on_ended
        self._living: dict[int, Supervised] = {}
        self._ending: dict[int, Supervised] = {}
        """First processes that were reaped, whose remains are being killed; by process id."""

    def start(self) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self.reap)

    def stop(self) -> None:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGCHLD)

    def add(self, process: Supervised) -> None:
        self._living[process.pid] = process

    def signal(self, process: Supervised, number: int) -> bool:
        """Signal the first process; False if it has ended. Its id cannot have been used again:
        it is reaped here only."""
        if process.exit_status is not None:
            return False
        os.kill(process.pid, number)
        return True

    def kill(self, process: Supervised) -> None:
        """SIGKILL the process, its session and everything that still descends from it."""
        if process.exit_status is None:
            below = process_table.descendants(process.pid)
            os.kill(process.pid, signal.SIGKILL)
            self._kill_each(below)
        self._kill_remains(process)

    def kill_everything(self) -> None:
        """SIGKILL whatever still lives below this process."""
        self._kill_each(process_table.descendants(os.getpid()))

    def reap(self) -> None:
        """Collect whatever has ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            process = self._living.pop(pid, None)
            if process is not None:
                self._reaped(process, status)
        for process in list(self._ending.values()):
            if not self._kill_remains(process):
                self._finish(process)

    def _reaped(self, process: Supervised, status: int) -> None:
        process.exit_status = status
        self._ending[process.pid] = process
        process.cancel_kill()
        loop = asyncio.get_running_loop()
        process.kill_timer = loop.call_later(UNKILLABLE, self._give_up, process)
        if not process.is_exec:
            self._kill_each([o.pid for o in self._living.values() if o.owner == process.owner])

    def _kill_remains(self, process: Supervised) -> bool:
        """Kill what `process` left; whether there was anything."""
        remains = [
            pid
            for pid in process_table.children(os.getpid())
            if pid not in self._living and self._belongs(pid, process)
        ]
        for pid in list(remains):
            remains += process_table.descendants(pid)
        self._kill_each(remains)
        return bool(remains)

    def _belongs(self, pid: int, process: Supervised) -> bool:
        try:
            if os.getsid(pid) == process.pid:
                return True
        except ProcessLookupError:
            return False
        # A command run beside a container bears the container's marker, as does what the container
        # itself started: only the container's own end takes all of that.
        if process.is_exec:
            return False
        marker = process_table.environment_value(pid, MARKER)
        return marker == f"{self._marker}/{process.owner}"

    def _kill_each(self, pids: list[int]) -> None:
        # Children of this process are not reaped meanwhile, so their ids cannot be used again;
        # of their descendants the window is the microseconds since /proc was read.
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            except PermissionError:
                log.error("process %d changed its user and cannot be killed", pid)

    def _give_up(self, process: Supervised) -> None:
        if process.pid in self._ending:
            log.error("remains of process %d (%s) do not end", process.pid, process.owner)
            self._finish(process)

    def _finish(self, process: Supervised) -> None:
        process.cancel_kill()
        self._ending.pop(process.pid, None)
        process.drain()
        self._on_ended(process)
        process.ended.set()
