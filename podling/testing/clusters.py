"""The clusters of one test process: made when first asked for, gone when it ends."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from podling.aiokit import ids
from podling.aiokit.clock import system_wall_clock
from podling.launcher.layout import Layout
from podling.launcher.local_cluster import LocalCluster, Wanted
from podling.testing.cluster import TestCluster


class Clusters:
    """Makes clusters in folders of their own, each tied to the life of this process."""

    def __init__(self) -> None:
        # Every fork server inherits the read end; the kernel closes the write end with us.
        self._read, self._write = os.pipe()
        self._shared: dict[tuple[int, int], TestCluster] = {}

    def shared(self, replicas: int = 1, nodes: int = 1) -> TestCluster:
        """The one cluster of that size that tests share."""
        size = (replicas, nodes)
        if size not in self._shared:
            self._shared[size] = self._make(*size)
        return self._shared[size]

    @contextlib.contextmanager
    def fresh(self, replicas: int = 3, nodes: int = 3) -> Iterator[TestCluster]:
        """A cluster for one test."""
        cluster = self._make(replicas, nodes)
        try:
            yield cluster
        finally:
            cluster.remove()

    def close(self) -> None:
        """End the shared clusters."""
        for cluster in self._shared.values():
            cluster.remove()
        os.close(self._write)
        os.close(self._read)

    def _make(self, replicas: int, nodes: int) -> TestCluster:
        # Short, because sockets live below it.
        root = Path(tempfile.mkdtemp(prefix="podling-"))
        launcher = LocalCluster(Layout.at(root), system_wall_clock, ids.system_dice(), _quiet)
        cluster = TestCluster(launcher, self._read, ids.system_dice())
        try:
            cluster.up(Wanted(replicas, nodes))
        except BaseException:
            cluster.remove()
            raise
        return cluster


def _quiet(_: str) -> None:
    """Progress is for the command line."""
