"""One process that the launcher watches: a container's first process, or a command beside it."""

import asyncio
import os
from dataclasses import dataclass, field

from podling.node.runtime.launcher.output import LogFile, Pump
from podling.node.runtime.launcher.protocol import ProcessSpec


@dataclass(slots=True)
class Supervised:
    """A process of the launcher's own making, from fork until nothing of it is left."""

    pid: int
    owner: str
    """The container that it belongs to: its own id, or that of the container it was run beside."""
    spec: ProcessSpec
    """What the container was started with."""
    is_exec: bool = False
    """A command run beside the container's first process."""
    pumps: list[Pump] = field(default_factory=list)
    exit_status: int | None = None
    """What waitpid(2) told; None while the first process lives."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the process and everything it left are gone."""
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when that end is also remembered; of a container's first process only."""
    kill_timer: asyncio.TimerHandle | None = None
    log_file: LogFile | None = None

    def drain(self) -> None:
        for pump in self.pumps:
            pump.drain()

    def close_output(self) -> None:
        for pump in self.pumps:
            pump.close()

    def cancel_kill(self) -> None:
        if self.kill_timer is not None:
            self.kill_timer.cancel()
            self.kill_timer = None


def decode_status(status: int) -> tuple[int, int]:
    """(exit code, signal) of a waitpid(2) status; the code is 128 + n after signal n."""
    code = os.waitstatus_to_exitcode(status)
    return (128 - code, -code) if code < 0 else (code, 0)
