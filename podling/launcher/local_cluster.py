"""One cluster on this machine: make it, start what is missing, stop it.

Blocking code, because it is the command line's: it starts processes and waits for conditions.
"""

import contextlib
import dataclasses
import fcntl
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from podling.aiokit import ids
from podling.aiokit.clock import WallClock
from podling.kube import conditions, meta
from podling.launcher import addresses, cluster_file, credentials, grpc_engine
from podling.launcher.api_probe import ApiProbe, ProbeError
from podling.launcher.cluster_file import LAUNCHER_SUFFIX, Cluster
from podling.launcher.errors import LauncherError
from podling.launcher.forking import fork_client, inheritance, process_lock, process_logs
from podling.launcher.layout import Layout
from podling.launcher.waiting import WaitedInVain, wait_for
from podling.node.runtime.launcher import leftovers, process_table
from podling.node.runtime.launcher.process_files import StateError

FORK_SERVER_SECONDS = 30.0
LISTENER_SECONDS = 3.0
LOCK_SECONDS = 15.0
PROBE_SECONDS = 2.0
TERM_SECONDS = 10.0
KILL_SECONDS = 20.0


class ClusterError(LauncherError):
    """It did not work; the text says what, and where the log is."""


@dataclass(frozen=True, slots=True)
class Started:
    """A process that was started just now."""

    pid: int
    log_offset: int
    """Where in its log this life begins."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a cluster is made where there is none yet."""

    replicas: int = 3
    nodes: int = 3
    timings: str = "local"


class LocalCluster:
    """The cluster whose files are in `layout`; `say` is told what is being done."""

    def __init__(
        self, layout: Layout, clock: WallClock, dice: random.Random, say: Callable[[str], None]
    ) -> None:
        self.layout = layout
        self._clock = clock
        self._dice = dice
        self._say = say
        self._fork = fork_client.ForkClient(layout)
        self._fork_server: subprocess.Popen[bytes] | None = None
        """Set if this process started it: a parent has to take note of its child's end."""

    def load(self) -> Cluster:
        return cluster_file.load(self.layout.cluster_file)

    def pid(self, name: str) -> int | None:
        """The running process of that name."""
        holder = process_lock.holder(self.layout.lock(name))
        return None if holder is None else holder.pid

    def is_paused(self, name: str) -> bool:
        """Whether it was stopped in its tracks (SIGSTOP); unknown, thus False, without /proc."""
        pid = self.pid(name)
        found = None if pid is None else process_table.stat(pid)
        return found is not None and found.state == "T"

    def up(self, wanted: Wanted, timeout: float, tether: int | None = None) -> Cluster:
        """Make the cluster if there is none, start what does not run, return when all is Ready.

        `tether` is the read end of a pipe: when its last write end is closed, because whoever
        holds it ended in whatever way, the whole cluster is killed and its folder removed.
        """
        self.layout.create()
        with self._one_at_a_time(), ThreadPoolExecutor(1) as background:
            cluster, listener = self._load_or_design(wanted)
            # The fork server imports for a while; meanwhile certificates are made.
            certificates = background.submit(
                credentials.ensure, self.layout, cluster, self._clock, self._say
            )
            self._start_fork_server(cluster, listener, tether)
            certificates.result()
            self._wait_ready(cluster, timeout)
            if not cluster.established:
                cluster = dataclasses.replace(cluster, established=True)
                cluster_file.save(cluster, self.layout.cluster_file)
        return cluster

    def check_startable(self) -> None:
        """Raise ForkServerError if `start` could not start anything now."""
        self._fork.ping()

    def start(self, name: str) -> int:
        """Start one process of a cluster that is up; returns its pid."""
        return self._fork.start(name)

    def down(self, *, purge: bool) -> None:
        """Stop every process, pods first; `purge` then forgets everything the cluster knew."""
        if not (self.layout.root / "run").exists():
            return
        with self._one_at_a_time():
            running = self._running()
            nodes = [name for name in running if name.startswith("node-")]
            self._say("stopping the nodes and their pods")
            self._stop(nodes)
            self._say("stopping the replicas")
            # One by one: what a replica leads it can give up only while most others still agree.
            for name in running:
                if name not in (*nodes, fork_client.NAME):
                    self._stop([name])
            self._stop([fork_client.NAME])
            self._sweep()
            if self._fork_server is not None:
                self._fork_server.wait()
            if purge:
                self._say(f"removing {self.layout.root}")
                self._purge()

    def _running(self) -> list[str]:
        """The cluster's processes, found without `cluster.yaml`, which may be damaged."""
        locks = (self.layout.root / "run").glob("*.lock")
        return [path.stem for path in locks if process_lock.holder(path) is not None]

    @contextlib.contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        """Two `up` or `down` at once wait for each other."""
        with (self.layout.root / "run" / "launcher.busy").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _load_or_design(self, wanted: Wanted) -> tuple[Cluster, socket.socket | None]:
        if self.layout.cluster_file.exists():
            return self.load(), None
        if any((self.layout.root / "data").iterdir()):
            raise ClusterError(
                f"{self.layout.cluster_file} is missing, but {self.layout.root / 'data'} has a "
                f"cluster's data, which no other can use: {cluster_file.REMEDY}"
            )
        self._say(f"making a cluster in {self.layout.root}")
        cluster, listener = addresses.design(
            wanted.replicas, wanted.nodes, wanted.timings, self._dice, ids.random_u64
        )
        cluster_file.save(cluster, self.layout.cluster_file)
        return cluster, listener

    def _start_fork_server(
        self, cluster: Cluster, listener: socket.socket | None, tether: int | None
    ) -> None:
        if self._fork.answers():
            return
        wait_for(
            lambda: self._fork.answers() or self.pid(fork_client.NAME) is None,
            LOCK_SECONDS,
            lambda: f"the fork server (pid {self.pid(fork_client.NAME)}) to answer, or to end",
        )
        if self._fork.answers():
            return
        if self._fork_server is not None:
            self._fork_server.wait()
        if listener is None:
            listener = self._find_listener(cluster)
        log = self.layout.log(fork_client.NAME)
        said_before = process_logs.end_of(self.layout, fork_client.NAME)
        with listener, log.open("ab") as output:
            inherited = [listener.fileno(), *([] if tether is None else [tether])]
            process = subprocess.Popen(
                fork_server_command(self.layout, inherited),
                env=grpc_engine.environment(),
                pass_fds=inherited,
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self._fork_server = process
        wait_for(
            lambda: self._fork.answers() or process.poll() is not None,
            FORK_SERVER_SECONDS,
            lambda: f"the fork server to answer; its log is {log}",
        )
        if process.poll() is not None:
            why = process_logs.reason(self.layout, fork_client.NAME, said_before)
            raise ClusterError(f"the fork server ended at once:\n{why}")

    def _find_listener(self, cluster: Cluster) -> socket.socket:
        """Bound anew, or from a replica that has it; both take a moment after a kill."""
        found: list[socket.socket] = []

        def find() -> bool:
            with contextlib.suppress(addresses.AddressError):
                found.append(self._inherit_listener(cluster) or addresses.listen(cluster))
            return bool(found)

        with contextlib.suppress(WaitedInVain):
            wait_for(find, LISTENER_SECONDS, lambda: "the listener")
        return found[0] if found else addresses.listen(cluster)

    def _inherit_listener(self, cluster: Cluster) -> socket.socket | None:
        """The API listener from a replica that still runs, where the fork server was killed."""
        for replica in cluster.replicas:
            holder = process_lock.holder(self.layout.lock(replica.name))
            if holder is not None and holder.listener is not None:
                return inheritance.take_socket(holder.pid, holder.listener)
        return None

    def _start_missing(self, cluster: Cluster, started: dict[str, Started]) -> None:
        """Start what neither runs nor was started before, and fail if that has ended."""
        missing = [name for name in cluster.process_names if self.pid(name) is None]
        new = [name for name in missing if name not in started]
        if new:
            self._say(f"starting {', '.join(new)}")
        for name in new:
            said_before = process_logs.end_of(self.layout, name)
            started[name] = Started(self._fork.start(name), said_before)
        self._check_alive(started)

    def _wait_ready(self, cluster: Cluster, timeout: float) -> None:
        waiting_for = ""
        started: dict[str, Started] = {}

        def ready() -> bool:
            nonlocal waiting_for
            # Looked at again each time: what was just killed may still have been there before.
            self._start_missing(cluster, started)
            self._check_not_paused(cluster)
            try:
                for replica in cluster.replicas:
                    ask.get(replica.address, replica.api_port, "/readyz")
                nodes = ask.get_json(cluster.api_address, cluster.api_port, "/api/v1/nodes")
                unready = unready_nodes(nodes, [node.name for node in cluster.nodes])
                if cluster.established and not unready:
                    # A node's condition may be older than this life of it.
                    for node in cluster.nodes:
                        ask.get(node.address, node.kubelet_port, "/healthz")
            except ProbeError as error:
                waiting_for = str(error)
                return False
            self._register_again([n for n, why in unready.items() if not why], started)
            waiting_for = ", ".join(f"{n} to be Ready ({why})" for n, why in unready.items())
            return not unready

        self._start_missing(cluster, started)
        self._say("waiting until all is Ready")
        logs = self.layout.log("*")
        try:
            with ApiProbe.of(self.layout).asking(PROBE_SECONDS) as ask:
                wait_for(ready, timeout, lambda: f"{waiting_for}; the logs are {logs}")
        except WaitedInVain as error:
            raise ClusterError(str(error)) from None

    def _register_again(self, deleted: Sequence[str], started: dict[str, Started]) -> None:
        """An agent registers its node when it starts; the pods are its launcher's and go on."""
        for name in deleted:
            if name not in started:
                self._say(f"{name} was deleted from the cluster: its agent registers it again")
                self._stop([name])

    def _check_alive(self, started: Mapping[str, Started]) -> None:
        for name, process in started.items():
            try:
                os.kill(process.pid, 0)
            except ProcessLookupError:
                why = process_logs.reason(self.layout, name, process.log_offset)
                raise ClusterError(f"{name} ended at once:\n{why}") from None

    def _check_not_paused(self, cluster: Cluster) -> None:
        paused = [name for name in cluster.process_names if self.is_paused(name)]
        if paused:
            raise ClusterError(
                f"{', '.join(paused)} cannot become Ready while paused: "
                f"podling chaos resume {paused[0].removesuffix(LAUNCHER_SUFFIX)}"
            )

    def _stop(self, names: Sequence[str]) -> None:
        """SIGTERM, then SIGKILL for whoever is still there."""
        for number, patience in (
            (signal.SIGTERM, TERM_SECONDS),
            (signal.SIGKILL, KILL_SECONDS),
        ):
            for name in names:
                if (pid := self.pid(name)) is not None:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)
                        os.kill(pid, signal.SIGCONT)  # a paused process hears nothing else
            with contextlib.suppress(WaitedInVain):
                wait_for(
                    lambda: all(self.pid(name) is None for name in names),
                    patience,
                    lambda: f"{', '.join(names)} to end",
                )
                return
        raise ClusterError(f"some of {', '.join(names)} do not end, even when killed")

    def _sweep(self) -> None:
        """End what pods of a launcher that was killed left behind, where nobody else did."""
        for state in (self.layout.root / "data").glob("*/launcher"):
            try:
                leftovers.kill_leftovers(state)
            except StateError as error:
                self._say(f"cannot look for what the pods of {state} left: {error}")

    def _purge(self) -> None:
        for name in ("data", "logs", "pki", "run"):
            shutil.rmtree(self.layout.root / name, ignore_errors=True)
        for file in (self.layout.kubeconfig, self.layout.images, self.layout.cluster_file):
            file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # it may hold files of somebody else's
            self.layout.root.rmdir()


def fork_server_command(layout: Layout, inherited: Sequence[int]) -> list[str]:
    """Isolated from the user's PYTHON* variables, so that byte-code is used and kept."""
    module = "podling.launcher.forking.processes"
    return [sys.executable, "-I", "-m", module, str(layout.root), *map(str, inherited)]


def unready_nodes(node_list: Any, wanted: Sequence[str]) -> dict[str, str]:
    """Those of the `wanted` names that are not Ready in a NodeList, and why: "" if not there."""
    nodes = {meta.name(node): node for node in node_list["items"]}
    return {
        name: _complaint(nodes[name]) if name in nodes else ""
        for name in wanted
        if name not in nodes or conditions.status_of(nodes[name], "Ready") != conditions.TRUE
    }


def _complaint(node: Any) -> str:
    for condition in node.get("status", {}).get("conditions", ()):
        if condition["type"] == "Ready" and condition.get("message"):
            return str(condition["message"])
    return "it has not said why"
