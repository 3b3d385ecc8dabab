"""Whole clusters of real processes, made by Podling's own pytest plugin."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from podling.launcher.images import ImageTable
from podling.testing.cluster import TestCluster
from tests.e2e.shell import Shell
from tests.e2e.waiting import eventually, fetch
from tests.steady_loop import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories"]

GUESTBOOK = Path(__file__).resolve().parents[2] / "examples" / "guestbook"


def install_guestbook(cluster: TestCluster, namespace: str) -> None:
    """Deploy the guestbook and wait until it is rolled out."""
    table = ImageTable(cluster.launcher.layout)
    for part in ("frontend", "storage"):
        for version in ("1", "2"):
            command = (sys.executable, str(GUESTBOOK / f"{part}.py"))
            table.add(f"guestbook-{part}:{version}", command)
    cluster.kubectl("--namespace", namespace, "apply", "-f", str(GUESTBOOK))
    for part in ("storage", "frontend"):
        cluster.kubectl(
            "--namespace", namespace, "rollout", "status", f"deployment/{part}", "--timeout=80s"
        )


def service_url(cluster: TestCluster, namespace: str, name: str) -> str:
    where = "{.spec.clusterIP}:{.spec.ports[0].port}"
    address = cluster.kubectl(
        "--namespace", namespace, "get", "service", name, "-o", f"jsonpath={where}"
    )
    return f"http://{address}"


@pytest.fixture
def guestbook(podling_cluster: TestCluster) -> str:
    """The guestbook in namespace `default` of the test's cluster; its URL."""
    install_guestbook(podling_cluster, "default")
    url = service_url(podling_cluster, "default", "frontend")
    eventually(lambda: "Guestbook" in fetch(url), 60, lambda: f"{url} to show the page")
    return url


@pytest.fixture
def podling(tmp_path: Path) -> Iterator[Shell]:
    """A folder for a cluster, which the test makes; nothing of it may be left afterwards."""
    shell = Shell(tmp_path / "c")
    yield shell
    shell("down", "--purge")
    assert not shell.root.exists()
