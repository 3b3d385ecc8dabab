"""The program of the fork server: imports everything, then forks the cluster's processes.

    python -m podling.launcher.forking.processes DIRECTORY LISTENER [TETHER]

LISTENER is the descriptor of the shared API listener, TETHER (if given) that of a pipe: when its
other end closes, everything is killed and DIRECTORY removed.
"""

import asyncio
import gc
import logging
import os
import shutil
import socket
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import uvloop
from setproctitle import setproctitle

from podling.aiokit import logs
from podling.launcher import cluster_file
from podling.launcher.cluster_file import LAUNCHER_SUFFIX, Cluster
from podling.launcher.errors import LauncherError
from podling.launcher.forking import fork_server, process_lock
from podling.launcher.forking.fork_server import ForkServer
from podling.launcher.layout import Layout
from podling.launcher.programs import node_process, server_process
from podling.node.runtime.launcher import leftovers
from podling.node.runtime.launcher.main import run_launcher
from podling.node.runtime.launcher.process_files import StateError

log = logging.getLogger(__name__)

COLLECT_AFTER = (50_000, 20, 50)
"""Thresholds of the cyclic collector: our objects seldom form cycles, and its passes are pauses."""


class LostData(LauncherError):
    """A replica's data directory was removed."""


class Processes:
    """Runs the process of a given name, in the process that was forked for it."""

    def __init__(self, layout: Layout, listener: socket.socket | None) -> None:
        self._layout = layout
        self._listener = listener

    def run(self, name: str) -> int:
        """Run it to its end; returns the exit code. Raises ClusterFileError for a strange name."""
        cluster = cluster_file.load(self._layout.cluster_file)
        gc.set_threshold(*COLLECT_AFTER)
        if name.endswith(LAUNCHER_SUFFIX):
            node = cluster.node(name.removesuffix(LAUNCHER_SUFFIX))
            return run_launcher(node_process.launcher_config(self._layout, node))
        return _run_loop(self._serve(cluster, name))

    def ended(self, name: str, _status: int) -> None:
        """In the fork server: a launcher that died must not leave its pods behind."""
        if name.endswith(LAUNCHER_SUFFIX):
            state = self._layout.launcher_state(name.removesuffix(LAUNCHER_SUFFIX))
            try:
                leftovers.kill_leftovers(state)
            except StateError as error:
                log.error("cannot look for leftovers of %s: %s", name, error)

    def _serve(self, cluster: Cluster, name: str) -> Coroutine[Any, Any, int]:
        if any(replica.name == name for replica in cluster.replicas):
            if cluster.established:
                _check_log(self._layout.data(name))
            descriptor = None if self._listener is None else self._listener.fileno()
            return server_process.serve(self._layout, cluster, name, descriptor)
        return node_process.serve(self._layout, cluster, cluster.node(name))


def _check_log(data: Path) -> None:
    """A replica that has forgotten what it acknowledged could have others forget it, too."""
    if not any((data / "wal").glob("*.wal")):
        raise LostData(
            f"the log in {data / 'wal'} is gone. Started without it, this replica could undo what "
            f"it acknowledged: restore {data} from a copy, or start anew with: podling down --purge"
        )


def _run_loop(main: Coroutine[Any, Any, int]) -> int:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def main() -> int:
    root, listener_fd, *tether = sys.argv[1:]
    layout = Layout.at(Path(root))
    os.chdir(layout.root)
    fork_server.redirect_output(layout, fork_server.NAME)
    logs.configure(fork_server.NAME)
    setproctitle(f"podling: {fork_server.NAME} ({layout.root})")
    # gRPC would look for other threads at every fork, and say so; there are none.
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
    lock = process_lock.hold(layout.lock(fork_server.NAME), listener=int(listener_fd))
    listener = socket.socket(fileno=int(listener_fd))
    processes = Processes(layout, listener)
    server = ForkServer(
        layout,
        listener,
        processes.run,
        processes.ended,
        tether=int(tether[0]) if tether else None,
    )
    if server.serve():
        shutil.rmtree(layout.root, ignore_errors=True)
    os.close(lock)
    return 0


if __name__ == "__main__":
    sys.exit(main())
