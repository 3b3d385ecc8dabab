"""A running cluster, and a namespace of it, as a test sees them."""

import contextlib
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from podling.kube.client import Client
from podling.launcher import credentials
from podling.launcher.chaos import Chaos
from podling.launcher.local_cluster import LocalCluster, Wanted
from podling.launcher.tls import replicas_transport

NAME_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
KUBECTL_SECONDS = 90.0
UP_SECONDS = 90.0
REQUEST_SECONDS = 5.0


class KubectlError(Exception):
    """kubectl ended with an error; the text has its arguments, exit code and output."""


class TestCluster:
    """A cluster that answers."""

    __test__ = False  # not a test class, whatever its name

    def __init__(self, launcher: LocalCluster, tether: int, dice: random.Random) -> None:
        self.launcher = launcher
        self._tether = tether
        self.chaos = Chaos(launcher, dice)
        self._dice = dice

    def up(self, wanted: Wanted | None = None) -> None:
        """Start what does not run; returns when all is Ready."""
        self.launcher.up(wanted or Wanted(), UP_SECONDS, self._tether)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's, for any client."""
        return self.launcher.layout.kubeconfig

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        """A client of Podling's own, as administrator."""
        layout = self.launcher.layout
        transport = replicas_transport(layout, self.launcher.load(), credentials.ADMIN)
        try:
            # Short, so that a test which freezes a replica need not wait long to leave it.
            yield Client(transport, user_agent="podling-test", request_timeout=REQUEST_SECONDS)
        finally:
            await transport.close()

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run the real kubectl; returns its standard output, raises KubectlError."""
        done = subprocess.run(
            self.kubectl_command(*arguments),
            env=self.kubectl_environment(),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=KUBECTL_SECONDS,
            check=False,
        )
        if done.returncode:
            raise KubectlError(
                f"kubectl {' '.join(arguments)} ended with {done.returncode}:\n"
                f"{done.stdout}{done.stderr}"
            )
        return done.stdout

    def kubectl_command(self, *arguments: str) -> list[str]:
        beside = Path(sys.executable).with_name("kubectl")
        return [str(beside) if beside.exists() else "kubectl", *arguments]

    def kubectl_environment(self) -> dict[str, str]:
        # kubectl keeps discovery on disk for hours; each cluster gets a cache of its own.
        cache = self.launcher.layout.root / "run" / "kubectl-cache"
        return os.environ | {"KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(cache)}

    @contextlib.contextmanager
    def namespace(self) -> Iterator["ClusterNamespace"]:
        """A new namespace, deleted afterwards without waiting for its end."""
        name = "test-" + "".join(self._dice.choices(NAME_LETTERS, k=8))
        self.kubectl("create", "namespace", name)
        try:
            yield ClusterNamespace(self, name)
        finally:
            self.kubectl("delete", "namespace", name, "--wait=false")

    def remove(self) -> None:
        """End the cluster and remove all of it."""
        self.launcher.down(purge=True)
        with contextlib.suppress(OSError):
            self.kubeconfig.parent.rmdir()


@dataclass(frozen=True, slots=True)
class ClusterNamespace:
    """A namespace that belongs to one test."""

    cluster: TestCluster
    name: str

    @property
    def kubeconfig(self) -> Path:
        return self.cluster.kubeconfig

    def client(self) -> contextlib.AbstractAsyncContextManager[Client]:
        return self.cluster.client()

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return self.cluster.kubectl("--namespace", self.name, *arguments, stdin=stdin)
