"""The launcher as a process: the one call that its starter makes, and its end.

SIGTERM and SIGINT stop every container, with a grace; SIGKILL takes them along at once (the kernel
does it), and `leftovers.kill_leftovers` sweeps up what had left its parent by then.
"""

import asyncio
import errno
import fcntl
import logging
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from podling.aiokit.clock import WallClock, system_wall_clock
from podling.aiokit.ids import IdSource, random_uuid
from podling.node.runtime.launcher import capabilities, leftovers, linux, process_table
from podling.node.runtime.launcher.launcher import Launcher, LauncherLimits
from podling.node.runtime.launcher.process_files import LauncherIdentity, ProcessFiles, StateError
from podling.node.runtime.launcher.protocol import ProcessRecord
from podling.node.runtime.launcher.server import LauncherServer

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LauncherConfig:
    """One node's launcher."""

    state_dir: Path
    """Its memory; made if missing, used by one launcher at a time."""
    socket_path: Path
    """Where the CRI server finds it; at most 107 bytes, in a folder that exists."""
    stop_grace: float = 5.0
    """Seconds between SIGTERM and SIGKILL for each container when the launcher is told to stop."""
    mount_namespaces: bool = True
    """Whether to give pods mounts of their own, where that is found to work."""
    limits: LauncherLimits = field(default_factory=LauncherLimits)
    wall_clock: WallClock = system_wall_clock
    ids: IdSource = random_uuid


def run_launcher(config: LauncherConfig, on_ready: Callable[[], None] = lambda: None) -> int:
    """Run a launcher in this process, which must be single-threaded, until it is told to stop.

    `on_ready` is called once when the socket serves. Returns the exit code: 0, or 1 with the reason
    in the log.
    """
    try:
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            return runner.run(_run(config, on_ready))
    except (OSError, StateError) as error:
        log.error("the launcher cannot run: %s", error)
        return 1


async def _run(config: LauncherConfig, on_ready: Callable[[], None]) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    files = ProcessFiles(config.state_dir)
    files.prepare()
    lock = _lock(config.state_dir)
    try:
        # Read before anything is killed: damaged state must not cost anybody a process.
        remembered = files.load()
        killed = leftovers.kill_leftovers(config.state_dir)
        if killed:
            log.warning("killed %d processes that an earlier launcher left", killed)
        linux.adopt_orphans()
        await _serve(config, files, remembered, stop, on_ready)
    finally:
        os.close(lock)
    return 0


async def _serve(
    config: LauncherConfig,
    files: ProcessFiles,
    remembered: list[ProcessRecord],
    stop: asyncio.Event,
    on_ready: Callable[[], None],
) -> None:
    identity = LauncherIdentity(
        config.ids(), process_table.boot_id(), process_table.forks_since_boot()
    )
    found = capabilities.probe() if config.mount_namespaces else capabilities.SWITCHED_OFF
    server = LauncherServer(config.socket_path, found.to_json())
    launcher = Launcher(
        config.limits, files, identity.marker, found.mount_namespace, config.wall_clock,
        server.tell_ended,
    )  # fmt: skip
    launcher.open(remembered)
    files.save_identity(identity)
    try:
        await server.start(launcher)
        log.info("launcher serves %s, mounts: %s", config.socket_path, found.mount_namespace)
        on_ready()
        await stop.wait()
    finally:
        await launcher.close(config.stop_grace)
        await server.stop()


def _lock(state_dir: Path) -> int:
    """Make this the only launcher of `state_dir`; the lock goes when the descriptor closes."""
    fd = os.open(state_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        raise StateError(
            f"{state_dir} is in use by another launcher: stop that one first"
        ) from None
    return fd
