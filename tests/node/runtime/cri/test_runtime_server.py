"""The CRI server over a real gRPC socket, with a real launcher and real processes."""

import asyncio
import json
import os
import re
import signal
import socket
from collections.abc import Awaitable
from typing import Any

import grpc
import pytest

from podling.node.cripb import api_pb2 as cri
from podling.node.runtime.launcher.process_files import StateError
from tests.node.runtime.launched import LauncherProcess, alive
from tests.node.runtime.served import Node
from tests.waiting import until


async def refused(call: Awaitable[Any], code: grpc.StatusCode, text: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() == code, caught.value.details()
    assert re.search(text, caught.value.details() or ""), caught.value.details()


async def process_id(node: Node, container: str) -> int:
    response = await node.cri.ContainerStatus(
        cri.ContainerStatusRequest(container_id=container, verbose=True)
    )
    return int(json.loads(response.info["info"])["pid"])


async def test_it_says_who_it_is_and_what_it_can_do(node: Node) -> None:
    version = await node.cri.Version(cri.VersionRequest())
    assert (version.version, version.runtime_name, version.runtime_api_version) == (
        "0.1.0", "podling", "v1",
    )  # fmt: skip
    status = await node.cri.Status(cri.StatusRequest(verbose=True))
    assert {entry.type: entry.status for entry in status.status.conditions} == {
        "RuntimeReady": True, "NetworkReady": True,
    }  # fmt: skip
    assert "not enforced" in json.loads(status.info["capabilities"])["limits"]
    assert json.loads(status.info["capabilities"])["mount_namespace"] in ("root", "user", "none")


async def test_a_container_runs_from_creation_to_removal(node: Node) -> None:
    sandbox = await node.sandbox(labels={"app": "web"})
    container = await node.create(
        sandbox, "sh", "-c", 'echo "$GREETING $0"; pwd; exit 3', args=["world"],
        envs=[cri.KeyValue(key="GREETING", value="hello")], working_dir=str(node.folder),
        annotations={"a": "b"},
    )  # fmt: skip
    created = await node.status(container)
    assert (created.state, created.started_at) == (cri.CONTAINER_CREATED, 0)
    await node.start_container(container)
    ended = await node.ended(container)
    assert (ended.state, ended.exit_code, ended.reason) == (cri.CONTAINER_EXITED, 3, "Error")
    assert 0 < ended.created_at <= ended.started_at <= ended.finished_at
    assert ended.annotations == {"a": "b"}
    assert node.log() == f"hello world\n{node.folder}\n"
    await node.cri.StopPodSandbox(cri.StopPodSandboxRequest(pod_sandbox_id=sandbox))
    await node.cri.RemovePodSandbox(cri.RemovePodSandboxRequest(pod_sandbox_id=sandbox))
    assert not (await node.cri.ListPodSandbox(cri.ListPodSandboxRequest())).items
    assert not (await node.cri.ListContainers(cri.ListContainersRequest())).containers
    await until(lambda: ("DELETED", sandbox) in node.seen(), "the last event")
    assert node.seen() == [
        ("CREATED", sandbox), ("STARTED", sandbox), ("CREATED", container),
        ("STARTED", container), ("STOPPED", container), ("STOPPED", sandbox),
        ("DELETED", container), ("DELETED", sandbox),
    ]  # fmt: skip
    assert node.events[4].containers_statuses[0].exit_code == 3
    await until(
        lambda: not list((node.folder / "runtime" / "sandboxes").iterdir()), "the folder to go"
    )


@pytest.mark.parametrize(
    ("command", "code", "reason"),
    [
        (("true",), 0, "Completed"),
        (("sh", "-c", "kill -9 $$"), 137, "Error"),
        (("sh", "-c", "exit 127"), 127, "Error"),
    ],
)
async def test_ends_have_reasons(
    node: Node, command: tuple[str, ...], code: int, reason: str
) -> None:
    ended = await node.ended(await node.run(*command))
    assert (ended.exit_code, ended.reason, ended.message) == (code, reason, "")


async def test_a_command_that_cannot_run_fails_the_start_and_says_so_later_too(node: Node) -> None:
    container = await node.create(await node.sandbox(), "no-such-program")
    text = 'exec: "no-such-program": executable file not found in \\$PATH'
    await refused(node.start_container(container), grpc.StatusCode.UNKNOWN, text)
    ended = await node.ended(container)
    assert (ended.exit_code, ended.reason) == (127, "StartError")
    assert re.fullmatch(text, ended.message)
    assert ("STARTED", container) not in node.seen()
    await refused(
        node.start_container(container), grpc.StatusCode.FAILED_PRECONDITION, "started before"
    )


async def test_images_are_commands(node: Node) -> None:
    sandbox = await node.sandbox()
    mapped = await node.create(sandbox, image=cri.ImageSpec(image="shop/web:7"))
    await node.start_container(mapped)
    assert (await node.status(mapped)).state == cri.CONTAINER_RUNNING
    await refused(
        node.create(sandbox, metadata=cri.ContainerMetadata(name="other")),
        grpc.StatusCode.NOT_FOUND,
        'ErrImagePull: image "example.com/app:1" stands for no command .* give the container',
    )
    pulled = await node.images.PullImage(
        cri.PullImageRequest(image=cri.ImageSpec(image="shop/web:7"))
    )
    present = await node.images.ImageStatus(
        cri.ImageStatusRequest(image=cri.ImageSpec(image="shop/web:7"))
    )
    status = await node.status(mapped)
    assert pulled.image_ref == present.image.id == status.image_id == status.image_ref
    await refused(
        node.images.PullImage(cri.PullImageRequest(image=cri.ImageSpec(image="Not A Name"))),
        grpc.StatusCode.INVALID_ARGUMENT,
        "InvalidImageName",
    )


async def test_stopping_is_graceful_then_not_and_may_be_repeated(node: Node) -> None:
    polite = await node.run(
        "sh", "-c", "trap 'exit 9' TERM; echo set; while :; do sleep 0.01; done"
    )
    await until(lambda: "set\n" in node.log(), "the trap")
    request = cri.StopContainerRequest(container_id=polite, timeout=10)
    await node.cri.StopContainer(request)
    assert (await node.status(polite)).exit_code == 9
    await node.cri.StopContainer(request)
    stubborn = await node.run("sleep", "60", name="other", stop_signal=cri.SIGUSR1)
    await node.cri.StopContainer(cri.StopContainerRequest(container_id=stubborn, timeout=10))
    assert (await node.status(stubborn)).exit_code == 128 + signal.SIGUSR1
    await node.cri.StopContainer(cri.StopContainerRequest(container_id="unknown"))


async def test_removing_a_sandbox_ends_and_removes_what_runs_in_it(node: Node) -> None:
    container = await node.run("sleep", "60")
    pid = await process_id(node, container)
    assert alive(pid)
    sandbox = (await node.cri.ListPodSandbox(cri.ListPodSandboxRequest())).items[0].id
    await node.cri.RemovePodSandbox(cri.RemovePodSandboxRequest(pod_sandbox_id=sandbox))
    assert not alive(pid)
    await refused(node.status(container), grpc.StatusCode.NOT_FOUND, "not found")
    await node.cri.RemovePodSandbox(cri.RemovePodSandboxRequest(pod_sandbox_id=sandbox))


async def test_sandboxes_have_addresses_of_the_range(node: Node) -> None:
    first, second = await node.sandbox("a"), await node.sandbox("b")

    async def address(sandbox: str) -> str:
        request = cri.PodSandboxStatusRequest(pod_sandbox_id=sandbox)
        return (await node.cri.PodSandboxStatus(request)).status.network.ip

    assert (await address(first), await address(second)) == ("127.1.65.2", "127.1.65.3")
    await node.cri.StopPodSandbox(cri.StopPodSandboxRequest(pod_sandbox_id=first))
    assert await address(first) == ""
    assert await address(await node.sandbox("c")) == "127.1.65.4"
    update = cri.UpdateRuntimeConfigRequest()
    update.runtime_config.network_config.pod_cidr = "10.0.0.0/24"
    await refused(
        node.cri.UpdateRuntimeConfig(update), grpc.StatusCode.INVALID_ARGUMENT, "loopback"
    )


async def test_lists_are_filtered(node: Node) -> None:
    one = await node.sandbox("a", labels={"app": "x"})
    two = await node.sandbox("b", labels={"app": "y"})
    container = await node.create(two, "sleep", "60", labels={"tier": "back"})
    await node.create(one, "sleep", "60")

    async def containers(**values: Any) -> list[str]:
        request = cri.ListContainersRequest(filter=cri.ContainerFilter(**values))
        return [item.id for item in (await node.cri.ListContainers(request)).containers]

    assert await containers(label_selector={"tier": "back"}) == [container]
    assert await containers(pod_sandbox_id=two) == [container]
    assert await containers(id=container) == [container]
    assert await containers(state=cri.ContainerStateValue(state=cri.CONTAINER_RUNNING)) == []
    request = cri.ListPodSandboxRequest(filter=cri.PodSandboxFilter(label_selector={"app": "x"}))
    assert [item.id for item in (await node.cri.ListPodSandbox(request)).items] == [one]


async def test_what_exists_is_not_made_twice(node: Node) -> None:
    sandbox = await node.sandbox()
    await refused(node.sandbox(), grpc.StatusCode.ALREADY_EXISTS, f"exists as {sandbox}")
    container = await node.create(sandbox, "sleep", "60")
    await refused(
        node.create(sandbox, "sleep", "60"),
        grpc.StatusCode.ALREADY_EXISTS,
        f"exists as {container}",
    )
    await refused(node.create("nope", "true"), grpc.StatusCode.NOT_FOUND, "sandbox nope not found")


async def test_commands_run_inside(node: Node) -> None:
    container = await node.run("sleep", "60", envs=[cri.KeyValue(key="A", value="1")])

    async def exec_sync(*command: str, timeout: int = 0) -> cri.ExecSyncResponse:
        return await node.cri.ExecSync(
            cri.ExecSyncRequest(container_id=container, cmd=command, timeout=timeout)
        )

    result = await exec_sync("sh", "-c", "echo $A; echo no >&2; exit 4")
    assert (result.stdout, result.stderr, result.exit_code) == (b"1\n", b"no\n", 4)
    await refused(
        exec_sync("sleep", "60", timeout=1), grpc.StatusCode.DEADLINE_EXCEEDED, "timed out"
    )
    await refused(exec_sync("no-such"), grpc.StatusCode.UNKNOWN, "not found in")
    await node.cri.StopContainer(cri.StopContainerRequest(container_id=container))
    await refused(exec_sync("true"), grpc.StatusCode.FAILED_PRECONDITION, "not running")


async def test_usage_is_counted(node: Node) -> None:
    container = await node.run(
        "sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; sleep 60"
    )
    request = cri.ContainerStatsRequest(container_id=container)
    async with asyncio.timeout(30):
        while True:
            stats = (await node.cri.ContainerStats(request)).stats
            if stats.cpu.usage_core_nano_seconds.value:
                break
            await asyncio.sleep(0.02)
    assert stats.memory.rss_bytes.value > 100_000
    listed = await node.cri.ListPodSandboxStats(cri.ListPodSandboxStatsRequest())
    assert listed.stats[0].linux.process.process_count.value >= 1


async def test_pods_see_their_own_names(node: Node) -> None:
    status = await node.cri.Status(cri.StatusRequest(verbose=True))
    capabilities = json.loads(status.info["capabilities"])
    if capabilities["mount_namespace"] == "none":
        pytest.skip(capabilities["mount_namespace_reason"])
    dns = cri.DNSConfig(
        servers=["127.77.0.10"], searches=["default.svc.cluster.local"], options=["ndots:5"]
    )
    sandbox = await node.sandbox(dns_config=dns)
    container = await node.create(sandbox, "cat", "/etc/resolv.conf", "/etc/hosts")
    await node.start_container(container)
    await node.ended(container)
    assert node.log() == (
        "search default.svc.cluster.local\nnameserver 127.77.0.10\noptions ndots:5\n"
        "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.1.65.2\tweb\n"
    )


async def test_volumes_and_device_files_are_seen(node: Node) -> None:
    status = await node.cri.Status(cri.StatusRequest(verbose=True))
    if json.loads(status.info["capabilities"])["mount_namespace"] == "none":
        pytest.skip("no mounts here")
    (node.folder / "secret").mkdir()
    (node.folder / "secret" / "token").write_text("s3cret\n")
    (node.folder / "message").touch()
    script = """
cat /var/run/secrets/example.com/token; echo ended > /dev/termination-log
echo thrown > /dev/null; test -c /dev/null && test -c /dev/pts/ptmx && test -k /dev/shm
"""
    container = await node.create(
        await node.sandbox(), "sh", "-c", script,
        mounts=[
            cri.Mount(container_path="/var/run/secrets/example.com",
                      host_path=str(node.folder / "secret"), readonly=True),
            cri.Mount(container_path="/dev/termination-log",
                      host_path=str(node.folder / "message")),
        ],
    )  # fmt: skip
    await node.start_container(container)
    ended = await node.ended(container)
    assert (ended.exit_code, node.log()) == (0, "s3cret\n")
    assert (node.folder / "message").read_text() == "ended\n"
    assert "termination-log" not in os.listdir("/dev")


async def test_the_server_restarts_without_touching_a_container(node: Node) -> None:
    before = await node.run("sh", "-c", "exit 6", name="before")
    await node.ended(before)
    running = await node.run("sleep", "60", name="running")
    gate = node.folder / "gate"
    os.mkfifo(gate)
    meanwhile = await node.run("sh", "-c", f"read line < {gate}; exit 7", name="meanwhile")
    old = await node.status(running)
    await node.stop()
    fd = os.open(gate, os.O_RDWR)
    os.write(fd, b"go\n")
    pid = json.loads(
        next((node.launcher.state_dir / "processes").glob(f"{running}.json")).read_text()
    )
    assert alive(pid["process"]["pid"])
    await until(
        lambda: (
            '"exit_code": 7'
            in (node.launcher.state_dir / "processes" / f"{meanwhile}.json").read_text()
        ),
        "the end without a server",
    )
    os.close(fd)
    node.events.clear()
    await node.start()
    assert (await node.status(before)).exit_code == 6
    assert (await node.status(meanwhile)).exit_code == 7
    assert await node.status(running) == old
    await node.cri.StopContainer(cri.StopContainerRequest(container_id=running, timeout=5))
    assert (await node.ended(running)).exit_code == 143
    third = await node.sandbox("third")
    request = cri.PodSandboxStatusRequest(pod_sandbox_id=third)
    assert (await node.cri.PodSandboxStatus(request)).status.network.ip == "127.1.65.5"


async def test_a_lost_launcher_is_said_and_its_containers_are_seen_to_have_ended(
    node: Node,
) -> None:
    container = await node.run("sleep", "60")
    node.launcher.end(signal.SIGKILL)

    async def ready() -> bool:
        status = await node.cri.Status(cri.StatusRequest())
        return all(entry.status for entry in status.status.conditions)

    async with asyncio.timeout(15):
        while await ready():  # noqa: ASYNC110 - only asking tells
            await asyncio.sleep(0.01)
    await refused(node.run("true", name="late"), grpc.StatusCode.UNAVAILABLE, "launcher")
    assert node.launcher.start()
    ended = await node.ended(container)
    assert (ended.exit_code, ended.reason) == (137, "Error")
    assert "launcher ended" in ended.message
    assert await ready()


async def test_processes_without_a_record_are_ended(node: Node) -> None:
    await node.run("sleep", "60.9")
    await node.stop()
    for path in (node.folder / "runtime" / "sandboxes").glob("*/sandbox.json"):
        path.unlink()
    await node.start()
    processes = node.launcher.state_dir / "processes"
    await until(lambda: not list(processes.iterdir()), "the process to be ended and forgotten")


@pytest.mark.parametrize("name", ["sandbox.json", "container-*.json"])
async def test_a_damaged_record_is_named(node: Node, name: str) -> None:
    container = await node.run("sleep", "60")
    pid = json.loads((node.launcher.state_dir / "processes" / f"{container}.json").read_text())
    await node.stop()
    path = next((node.folder / "runtime" / "sandboxes").glob(f"*/{name}"))
    path.write_text(path.read_text()[:-20])
    with pytest.raises(StateError, match=f"{re.escape(str(path))} is damaged .* remove this file"):
        await node.start()
    assert alive(pid["process"]["pid"])


async def test_records_with_secrets_are_for_this_user_only(node: Node) -> None:
    await node.run("sleep", "60", envs=[cri.KeyValue(key="PASSWORD", value="hush")])
    for path in (node.folder / "cri.sock", *(node.folder / "runtime").rglob("*.json")):
        assert path.stat().st_mode & 0o077 == 0, path


async def test_containers_run_as_the_user_that_is_asked_for(node: Node) -> None:
    linux = cri.LinuxContainerConfig()
    linux.security_context.run_as_user.value = 12345
    container = await node.create(
        await node.sandbox(), "sh", "-c", "id -u; id -G; touch here && ls", linux=linux
    )
    if os.getuid() != 0:
        await refused(
            node.start_container(container), grpc.StatusCode.UNKNOWN, "cannot run as user 12345"
        )
        return
    await node.start_container(container)
    assert (await node.ended(container)).exit_code == 0
    assert node.log() == "12345\n0\nhere\n"
    sleeper = await node.run("sleep", "60", name="sleeper", linux=linux)
    pid = await process_id(node, sleeper)
    node.launcher.end(signal.SIGKILL)
    await until(lambda: not alive(pid), "the end of another user's process")


async def test_a_socket_left_by_a_killed_server_is_no_hindrance(node: Node) -> None:
    await node.stop()
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(node.folder / "cri.sock"))
    left.close()
    await node.start()
    await node.sandbox()


async def test_the_launcher_stops_with_its_containers(
    node: Node, launcher: LauncherProcess
) -> None:
    container = await node.run("sleep", "60")
    assert launcher.end(signal.SIGTERM) == 0
    assert launcher.start()
    assert (await node.ended(container)).exit_code == 143
