"""The kubelet over Podling's own runtime: real processes, real sockets."""

import os
import signal
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from podling.aiokit.clock import system_wall_clock
from podling.aiokit.ids import random_uuid, system_dice
from podling.kube import kinds
from podling.kube.client import Client
from podling.kube.meta import Object
from podling.node.kubelet.logs.container_logs import LogRequestError
from podling.node.runtime.cri.pod_network import LoopbackNetwork
from podling.node.runtime.cri.runtime_server import RuntimeConfig, RuntimeServer
from podling.simulate.api_server import MemoryApiServer
from podling.simulate.runtime import MemoryRuntime
from tests.node.kubelet.builders import container_spec, pod
from tests.node.kubelet.certificates import Certificates
from tests.node.kubelet.node_harness import Node, condition, phase_is, state_of
from tests.node.runtime.launched import PATH, LauncherProcess

CIDR = "127.1.66.0/24"
SERVER = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        ok = os.path.exists(os.environ["READY"])
        self.send_response(200 if ok else 503)
        self.end_headers()
        self.wfile.write(os.environ["GREETING"].encode())
    def log_message(self, *args):
        print("asked", flush=True)
http.server.ThreadingHTTPServer((os.environ["POD_IP"], 8080), Handler).serve_forever()
"""


def shell(script: str, **more: object) -> Object:
    return container_spec(image="example.com/app:1", command=["sh", "-c", script], **more)


@pytest.fixture
async def real(certificates: Certificates) -> AsyncIterator[Node]:
    """A ready node whose runtime is the real one."""
    with tempfile.TemporaryDirectory(prefix="kr-") as path:
        folder = Path(path)
        launcher = LauncherProcess(folder)
        assert launcher.start(), launcher.errors()
        server = RuntimeServer(
            RuntimeConfig(
                socket_path=folder / "cri.sock",
                state_dir=folder / "runtime",
                launcher_socket=launcher.socket,
                environment={"PATH": PATH},
            ),
            LoopbackNetwork(),
            system_wall_clock,
            random_uuid,
            system_dice(),
        )
        await server.start()
        api = MemoryApiServer(system_wall_clock, random_uuid)
        client = Client(api, user_agent="test")
        made = Node(folder, api, MemoryRuntime(system_wall_clock), client, certificates)
        try:
            await made.ready_with(CIDR)
            yield made
        finally:
            await made.stop_kubelet()
            await server.stop()
            launcher.close()


async def test_a_server_runs_is_probed_and_serves(real: Node, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    spec = container_spec(
        image="python:3.12",
        command=["python3", "-c"],
        args=[SERVER],
        env=[
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "GREETING", "value": "hello from $(POD_IP)"},
            {"name": "READY", "value": str(ready)},
        ],
        ports=[{"name": "http", "containerPort": 8080}],
        readinessProbe={"httpGet": {"port": "http"}, "periodSeconds": 0.05},
    )
    await real.create(pod(spec))
    running = await real.until_running()
    assert condition(running, "Ready") == "False"
    ready.touch()
    served = await real.until_pod(lambda p: condition(p, "Ready") == "True", "readiness")
    address = served["status"]["podIP"]
    assert address.startswith("127.1.66.")
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{address}:8080/") as response,
    ):
        assert await response.text() == f"hello from {address}"


async def test_output_and_exit_code_are_kept(real: Node) -> None:
    await real.create(pod(shell("echo out; echo err >&2; exit 3"), restartPolicy="Never"))
    failed = await real.until_pod(phase_is("Failed"), "the pod to fail")
    assert state_of(failed)["terminated"]["exitCode"] == 3
    assert real.kubelet is not None
    logs = real.kubelet._logs
    log = logs.find("default", "web", "app", previous=False)
    text = b"".join([piece async for piece in logs.read(log, logs.options({}))])
    assert sorted(text.splitlines()) == [b"err", b"out"]


async def test_sigterm_comes_first_and_sigkill_after_the_grace_period(
    real: Node, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    script = f"trap 'touch {told}' TERM; echo up; while true; do sleep 0.05; done"
    await real.create(pod(shell(script), terminationGracePeriodSeconds=1))
    await real.until_running()
    await real.until(lambda: _log_of(real, b"up"), "the trap to be set")
    await real.client.delete(kinds.POD, "web", "default")
    await real.until(told.exists, "SIGTERM to be seen")
    assert await real.pod() is not None
    await real.until_gone()


async def test_a_crashing_container_is_restarted(real: Node, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    await real.create(pod(shell(f"echo x >> {seen}; test $(wc -l < {seen}) -ge 3 && sleep 60")))
    steady = await real.until_pod(
        lambda p: (
            p["status"].get("containerStatuses", [{}])[0].get("restartCount") == 2
            and "running" in state_of(p)
        ),
        "the third run",
    )
    assert steady["status"]["phase"] == "Running"


async def test_exec_probes_and_hooks_run_in_the_container(real: Node, tmp_path: Path) -> None:
    started, stopped = tmp_path / "started", tmp_path / "stopped"
    lifecycle = {
        "postStart": {"exec": {"command": ["touch", str(started)]}},
        "preStop": {"exec": {"command": ["sh", "-c", f"echo $GREETING > {stopped}"]}},
    }
    spec = shell(
        "exec sleep 60",
        env=[{"name": "GREETING", "value": "bye"}],
        lifecycle=lifecycle,
        livenessProbe={"exec": {"command": ["test", "-e", str(started)]}, "periodSeconds": 0.05},
    )
    await real.create(pod(spec, terminationGracePeriodSeconds=5))
    running = await real.until_running()
    await real.until_pod(lambda p: condition(p, "Ready") == "True", "readiness")
    assert started.exists()
    assert running["status"]["containerStatuses"][0]["restartCount"] == 0
    await real.client.delete(kinds.POD, "web", "default")
    await real.until_gone()
    assert stopped.read_text() == "bye\n"


async def test_a_pod_without_anything_to_run_waits_with_a_reason(real: Node) -> None:
    await real.create(pod(container_spec(image="example.com/unknown:1")))
    waiting = await real.until_pod(
        lambda p: (
            bool(state_of(p).get("waiting", {}).get("message"))
            if p.get("status", {}).get("containerStatuses")
            else False
        ),
        "a reason",
    )
    assert waiting["status"]["phase"] == "Pending"
    state = state_of(waiting)["waiting"]
    assert state["reason"] in ("ErrImagePull", "ImagePullBackOff")
    assert "example.com/unknown:1" in state["message"]


async def test_config_maps_are_mounted_and_follow_their_object(real: Node) -> None:
    if not real.mounts_files:
        pytest.skip("this machine lets nobody mount files")
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": "default"},
        "data": {"colour": "blue"},
    }
    await real.client.create(kinds.CONFIG_MAP, config_map)
    script = "old=; while true; do new=$(cat /etc/settings/colour); "
    script += 'test "$new" = "$old" || echo "$new"; old=$new; sleep 0.02; done'
    spec = shell(script, volumeMounts=[{"name": "v", "mountPath": "/etc/settings"}])
    await real.create(pod(spec, volumes=[{"name": "v", "configMap": {"name": "settings"}}]))
    await real.until(lambda: _log_of(real, b"blue"), "the first colour")
    patch = {"data": {"colour": "green"}}
    await real.client.patch(kinds.CONFIG_MAP, "settings", patch, "default")
    await real.until(lambda: _log_of(real, b"green"), "the second colour")


async def test_a_restarted_kubelet_sees_the_exit_of_a_process_it_did_not_start(
    real: Node, tmp_path: Path
) -> None:
    pid_file = tmp_path / "pid"
    await real.create(pod(shell(f"echo $$$$ > {pid_file}; exec sleep 60"), restartPolicy="Never"))
    await real.until_running()
    pid = int(await real.until(lambda: pid_file.exists() and pid_file.read_text(), "its pid"))
    await real.stop_kubelet()
    await real.ready_with(CIDR)
    os.kill(pid, signal.SIGTERM)
    failed = await real.until_pod(phase_is("Failed"), "the exit")
    assert state_of(failed)["terminated"]["exitCode"] == 143


async def test_twenty_pods_run_at_once(real: Node) -> None:
    for number in range(20):
        await real.create(pod(shell("exec sleep 60"), name=f"p{number}"))
    for number in range(20):
        await real.until_running(f"p{number}")
    for number in range(20):
        running = await real.pod(f"p{number}")
        assert running is not None and "running" in state_of(running)


async def _log_of(real: Node, text: bytes) -> bool:
    assert real.kubelet is not None
    logs = real.kubelet._logs
    try:
        log = logs.find("default", "web", "app", previous=False)
    except LogRequestError as error:
        assert "waiting to start" in str(error) or "does not exist" in str(error)
        return False
    return text in b"".join([piece async for piece in logs.read(log, logs.options({}))])
