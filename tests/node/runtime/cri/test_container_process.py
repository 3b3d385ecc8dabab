"""From a container's configuration to its process."""

import signal
from pathlib import PurePath

import pytest

from podling.node.cripb import api_pb2 as cri
from podling.node.runtime.cri import container_process
from podling.node.runtime.cri.records import ContainerRecord, SandboxRecord
from podling.node.runtime.launcher.protocol import Bind, ProcessSpec

FOLDER = PurePath("/state/s1")


def spec(
    config: cri.ContainerConfig, pod: cri.PodSandboxConfig, *, own_mounts: bool = True
) -> ProcessSpec:
    container = ContainerRecord("c1", "s1", config, 1, ("run",), "/logs/0.log")
    sandbox = SandboxRecord("s1", pod, 1, ("127.9.65.2",))
    return container_process.process_spec(
        container, sandbox, FOLDER, {"PATH": "/bin", "A": "node"}, own_mounts
    )


def test_a_container_gets_its_own_folder_and_environment() -> None:
    config = cri.ContainerConfig(envs=[cri.KeyValue(key="A", value="own")])
    found = spec(config, cri.PodSandboxConfig(hostname="web"))
    assert found.env == {
        "PATH": "/bin", "A": "own", "HOSTNAME": "web",
        "HOME": "/state/s1/work", "TMPDIR": "/state/s1/tmp",
    }  # fmt: skip
    assert (found.cwd, found.user, found.group) == ("/state/s1/work", None, None)


def test_names_are_mounted_where_the_node_can_and_the_pod_has_not() -> None:
    hosts = Bind("/state/s1/hosts", "/etc/hosts")
    resolv = Bind("/state/s1/resolv.conf", "/etc/resolv.conf")
    own = cri.Mount(container_path="/etc/hosts", host_path="/h", readonly=True)
    with_dns = cri.PodSandboxConfig(dns_config=cri.DNSConfig(servers=["127.9.0.10"]))
    plain = cri.ContainerConfig()
    assert spec(plain, with_dns).binds == (resolv, hosts)
    assert spec(plain, cri.PodSandboxConfig()).binds == (hosts,)
    nothing_to_say = cri.PodSandboxConfig(dns_config=cri.DNSConfig())
    assert spec(plain, nothing_to_say).binds == (hosts,)
    assert spec(plain, with_dns, own_mounts=False).binds == ()
    config = cri.ContainerConfig(mounts=[own])
    assert spec(config, cri.PodSandboxConfig()).binds == (Bind("/h", "/etc/hosts", True),)
    host = cri.PodSandboxConfig()
    host.linux.security_context.namespace_options.network = cri.NODE
    assert spec(plain, host).binds == ()


def test_a_user_without_a_group_gets_group_0() -> None:
    config = cri.ContainerConfig()
    config.linux.security_context.run_as_user.value = 1001
    found = spec(config, cri.PodSandboxConfig())
    assert (found.user, found.group) == (1001, 0)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        (cri.RUNTIME_DEFAULT, signal.SIGTERM),
        (cri.SIGKILL, signal.SIGKILL),
        (cri.SIGRTMIN, signal.SIGRTMIN),
        (cri.SIGRTMINPLUS3, signal.SIGRTMIN + 3),
        (cri.SIGRTMAXMINUS14, signal.SIGRTMAX - 14),
    ],
)
def test_stop_signals_are_the_kernels(name: cri.Signal.ValueType, number: int) -> None:
    assert container_process.stop_signal(cri.ContainerConfig(stop_signal=name)) == number


def test_every_stop_signal_has_a_number() -> None:
    for value in cri.Signal.values():
        assert container_process.stop_signal(cri.ContainerConfig(stop_signal=value)) > 0
