"""Breaks parts of a cluster on this machine on purpose: kill, pause, resume, restart.

A target is named as the cluster names it: `replica-2`, `node-1`, `pod/web-0`, or by its role:
`leader`, `follower`. A role is looked up and hit in one step, so that it still holds.
"""

import os
import random
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from podling.kube.kinds import POD
from podling.launcher.api_probe import ApiProbe, ProbeError
from podling.launcher.cluster_file import Cluster, launcher_of
from podling.launcher.errors import LauncherError
from podling.launcher.local_cluster import LocalCluster
from podling.launcher.status import observe
from podling.launcher.waiting import wait_for
from podling.node.runtime.launcher import leftovers, process_table
from podling.node.runtime.launcher.process_files import MARKER, ProcessFiles, StateError

DEAD_SECONDS = 20.0
ASK_SECONDS = 5.0


class ChaosError(LauncherError):
    """The target cannot be hit."""


@dataclass(frozen=True, slots=True)
class Target:
    """What was asked for, resolved to processes."""

    description: str
    """`replica-2 (leader)`, for people."""
    processes: tuple[str, ...] = ()
    """Processes of the cluster, by name, in the order in which they are hit."""
    node: str = ""
    """Set if the pods of this node belong to the target."""
    containers: tuple[str, ...] = ()
    """Set, together with `node`, if only these containers are the target."""


class Chaos:
    """Signals the processes of one cluster; each call returns whom it hit."""

    def __init__(self, cluster: LocalCluster, dice: random.Random) -> None:
        self._cluster = cluster
        self._layout = cluster.layout
        self._dice = dice

    def kill(self, target: str, namespace: str = "default") -> str:
        """SIGKILL; returns when the processes are dead. A node takes its pods with it."""
        hit = self._running(target, namespace)
        self._signal(hit, signal.SIGKILL)
        names = hit.processes
        wait_for(
            lambda: all(self._cluster.pid(name) is None for name in names),
            DEAD_SECONDS,
            lambda: f"{hit.description} to die",
        )
        if hit.node and not hit.containers:
            try:
                leftovers.kill_leftovers(self._layout.launcher_state(hit.node))
            except StateError as error:
                raise ChaosError(f"its pods cannot be found: {error}") from error
        return hit.description

    def pause(self, target: str, namespace: str = "default") -> str:
        """SIGSTOP: alive, holding its sockets, and doing nothing."""
        hit = self._running(target, namespace)
        self._signal(hit, signal.SIGSTOP)
        return hit.description

    def resume(self, target: str, namespace: str = "default") -> str:
        """SIGCONT: what was paused goes on. By role, only a replica that answers can be found."""
        hit = self._running(target, namespace)
        self._signal(hit, signal.SIGCONT)
        return hit.description

    def restart(self, target: str, namespace: str = "default") -> str:
        """Kill, and start again; a pod's containers are started again by their kubelet."""
        hit = self._resolve(target, namespace)
        if hit.processes:
            self._cluster.check_startable()  # before it is too late
        if self._runs(hit) or hit.containers:
            self.kill(hit.processes[0] if hit.processes else target, namespace)
        for name in reversed(hit.processes):
            self._cluster.start(name)
        return hit.description

    def _running(self, target: str, namespace: str) -> Target:
        """What can be signalled; raises ChaosError if nothing of it runs."""
        hit = self._resolve(target, namespace)
        if hit.processes and not self._runs(hit):
            raise ChaosError(f"{hit.description} does not run; start it with: podling up")
        return hit

    def _runs(self, hit: Target) -> bool:
        return any(self._cluster.pid(name) is not None for name in hit.processes)

    def _resolve(self, target: str, namespace: str) -> Target:
        cluster = self._cluster.load()
        if target in ("leader", "follower"):
            return self._by_role(target)
        if target in {replica.name for replica in cluster.replicas}:
            return Target(target, (target,))
        if target in {node.name for node in cluster.nodes}:
            # The agent first, lest it sees its launcher die and says so.
            return Target(target, (target, launcher_of(target)), node=target)
        if target.startswith("pod/"):
            return self._pod(cluster, namespace, target.removeprefix("pod/"))
        known = [name for name in cluster.process_names if not name.endswith("-launcher")]
        raise ChaosError(
            f"no target {target!r}; there are: leader, follower, {', '.join(known)}, pod/NAME"
        )

    def _by_role(self, role: str) -> Target:
        seen = observe(self._layout)
        leader = seen.leader
        if role == "leader":
            if leader is None:
                raise ChaosError("there is no leader now; see: podling status")
            return Target(f"{leader} (leader)", (leader,))
        followers = [replica.name for replica in seen.replicas if replica.role == "follower"]
        if not followers:
            raise ChaosError("there is no follower now; see: podling status")
        follower = self._dice.choice(followers)
        return Target(f"{follower} (follower)", (follower,))

    def _pod(self, cluster: Cluster, namespace: str, name: str) -> Target:
        if not name or not namespace:
            raise ChaosError("a pod is named as: pod/NAME, with --namespace if not in default")
        path = POD.path(namespace, name)
        try:
            pod = ApiProbe.of(self._layout).get_json(
                cluster.api_address, cluster.api_port, path, ASK_SECONDS
            )
        except ProbeError as error:
            raise ChaosError(f"cannot find pod {namespace}/{name}: {error}") from None
        containers = tuple(_container_ids(pod))
        if not containers:
            raise ChaosError(f"pod {namespace}/{name} runs no container now")
        node = pod["spec"]["nodeName"]
        return Target(f"pod {namespace}/{name} on {node}", node=node, containers=containers)

    def _signal(self, hit: Target, number: signal.Signals) -> None:
        for name in hit.processes:
            _send(self._cluster.pid(name), number)
        if hit.node:
            self._signal_pods(hit, number)

    def _signal_pods(self, hit: Target, number: signal.Signals) -> None:
        try:
            identity = ProcessFiles(self._layout.launcher_state(hit.node)).load_identity()
        except StateError as error:
            raise ChaosError(f"its pods cannot be found: {error}") from error
        if identity is None:
            return
        markers = {f"{identity.marker}/{container}" for container in hit.containers}
        belongs: Callable[[str], bool] = (
            markers.__contains__
            if markers
            else lambda marker: marker.startswith(f"{identity.marker}/")
        )
        for process in process_table.all_processes():
            if belongs(process_table.environment_value(process.pid, MARKER)):
                _send(process.pid, number)


def _container_ids(pod: Any) -> Iterable[str]:
    for status in pod.get("status", {}).get("containerStatuses", ()):
        if "running" in status.get("state", {}):
            # `podling://ID`: the runtime's name, then its own id.
            yield status["containerID"].partition("://")[2]


def _send(pid: int | None, number: signal.Signals) -> None:
    if pid is not None:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
