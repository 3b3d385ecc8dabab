"""`podling apiserver` alone, on a real etcd and on `podling store`, asked by the real kubectl."""

import contextlib
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from podling.launcher.waiting import wait_for
from tests.e2e.pki import Pki
from tests.e2e.store_members import (
    ENVIRONMENT,
    ETCDCTL,
    FAILOVER,
    PODLING,
    STOP_SECONDS,
    StoreCluster,
)
from tests.ports import free_ports

ETCD = shutil.which("etcd")
KUBECTL = Path(sys.executable).with_name("kubectl")

pytestmark = pytest.mark.e2e

needs_etcdctl = pytest.mark.skipif(
    ETCDCTL is None, reason="no etcdctl in PATH (apt install etcd-client)"
)


class ApiServerProcess:
    """One API server, and kubectl to ask it. A context manager."""

    def __init__(self, folder: Path, *flags: str) -> None:
        (self.port,) = free_ports(1)
        self._folder = folder
        self._log = folder / "apiserver.log"
        self._flags = flags
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "ApiServerProcess":
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    str(PODLING), "apiserver", f"--secure-port={self.port}",
                    f"--cert-dir={self._folder / 'pki'}", *self._flags,
                ],
                stdout=log, stderr=log, env=ENVIRONMENT,
            )  # fmt: skip
        wait_for(self._is_ready, 90, lambda: f"the API server:\n{self._log.read_text()}")
        return self

    def __exit__(self, *exc_info: object) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            assert self._process.wait(STOP_SECONDS) == 0, self._log.read_text()
        finally:
            self._process.kill()
            self._process.wait()

    def command(self, *words: str) -> list[str]:
        config = self._folder / "pki" / "kubeconfig"
        cache = self._folder / "kubectl-cache"
        return [str(KUBECTL), f"--kubeconfig={config}", f"--cache-dir={cache}", *words]

    def kubectl(self, *words: str, fails: bool = False) -> str:
        done = subprocess.run(
            self.command(*words), capture_output=True, text=True, timeout=60, check=False
        )
        assert bool(done.returncode) == fails, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def addresses(self) -> list[str]:
        """Of the Service `kubernetes`, as this server tells them."""
        listed = json.loads(self.kubectl("get", "endpointslices", "-o", "json"))
        return sorted(
            f"{address}:{found['ports'][0]['port']}"
            for found in listed["items"]
            for endpoint in found["endpoints"]
            for address in endpoint["addresses"]
        )

    def _is_ready(self) -> bool:
        assert self._process is not None and self._process.poll() is None, self._log.read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            done = subprocess.run(
                self.command("get", "--raw", "/readyz"),
                capture_output=True,
                timeout=30,
                check=False,
            )
            return done.returncode == 0
        return False


@contextlib.contextmanager
def watching(server: ApiServerProcess, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """A kubectl that watches; what it says is read line by line."""
    process = subprocess.Popen(
        server.command("get", *words, "--watch", "-o", "name", "--output-watch-events=false"),
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def a_life_of_objects(server: ApiServerProcess) -> None:
    """Create, list, watch, change and delete."""
    server.kubectl("create", "configmap", "a", "--from-literal=k=1")
    with watching(server, "configmaps") as watch:
        assert watch.stdout is not None
        assert watch.stdout.readline() == "configmap/a\n"
        server.kubectl("create", "configmap", "b", "--from-literal=k=1")
        assert watch.stdout.readline() == "configmap/b\n"
        server.kubectl("patch", "configmap", "b", "-p", '{"data":{"k":"2"}}')
        assert watch.stdout.readline() == "configmap/b\n"
        server.kubectl("delete", "configmap", "a")
        assert watch.stdout.readline() == "configmap/a\n"
    listed = json.loads(server.kubectl("get", "configmaps", "-o", "json"))
    assert [each["data"] for each in listed["items"]] == [{"k": "2"}]
    server.kubectl("get", "configmap", "a", fails=True)
    server.kubectl("delete", "configmap", "b")


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[str]:
    """The URL of a real etcd."""
    if ETCD is None:
        pytest.skip("no etcd in PATH (apt install etcd-server)")
    client, peer = (f"http://127.0.0.1:{port}" for port in free_ports(2))
    with (tmp_path / "etcd.log").open("wb") as log:
        process = subprocess.Popen(
            [
                ETCD, f"--data-dir={tmp_path / 'etcd'}", f"--listen-client-urls={client}",
                f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}",
            ],
            stdout=log, stderr=log, env=ENVIRONMENT,
        )  # fmt: skip
    try:
        yield client
    finally:
        process.kill()
        process.wait()


def test_it_stands_on_a_real_etcd(etcd: str, tmp_path: Path) -> None:
    with ApiServerProcess(tmp_path, f"--etcd-servers={etcd}") as server:
        a_life_of_objects(server)


def test_servers_on_one_etcd_tell_of_each_other(etcd: str, tmp_path: Path) -> None:
    def server(name: str) -> ApiServerProcess:
        folder = tmp_path / name
        folder.mkdir()
        return ApiServerProcess(folder, f"--etcd-servers={etcd}")

    def until_told(wanted: list[str], *servers: ApiServerProcess) -> None:
        for each in servers:
            wait_for(lambda each=each: each.addresses() == wanted, 40, lambda: f"{wanted}")

    with server("a") as first:
        only = [f"127.0.0.1:{first.port}"]
        until_told(only, first)
        for name in ("b", "c"):  # each on a port of its own
            with server(name) as second:
                until_told(sorted([*only, f"127.0.0.1:{second.port}"]), first, second)
            until_told(only, first)


@needs_etcdctl
def test_it_stands_on_three_members_of_which_one_is_killed(tmp_path: Path) -> None:
    pki = Pki(tmp_path, "etcd")
    certificate, key = pki.issue("apiserver")
    with StoreCluster(tmp_path, 3, "https", FAILOVER) as cluster:
        cluster.flags = (*pki.flags("", "server"), *pki.flags("peer-", "member"))
        cluster.client_flags = pki.client_flags("client")
        cluster.start()
        urls = ",".join(member.client_url for member in cluster.members)
        flags = (f"--etcd-certfile={certificate}", f"--etcd-keyfile={key}")
        flags += (f"--etcd-servers={urls}", f"--etcd-cafile={pki.authority}")
        with ApiServerProcess(tmp_path, *flags) as server:
            a_life_of_objects(server)
            for victim in [cluster.leader(), *cluster.members[:1]]:
                victim.kill()
                wait_for(lambda: _writes(server), 60, lambda: "writes to go on")
                a_life_of_objects(server)
                cluster.start()
        keys = cluster.etcdctl("get", "/registry/", "--prefix", "--keys-only")
        assert "/registry/namespaces/kube-system" in keys


def _writes(server: ApiServerProcess) -> bool:
    done = subprocess.run(
        server.command("label", "--overwrite", "namespace", "default", "still=there"),
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode == 0


def test_a_file_that_is_not_there_is_told_in_a_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            str(PODLING), "apiserver", f"--cert-dir={tmp_path / 'pki'}",
            "--etcd-servers=https://127.0.0.1:1", f"--etcd-cafile={tmp_path / 'none'}",
        ],
        capture_output=True, text=True, timeout=60, check=False, env=ENVIRONMENT,
    )  # fmt: skip
    assert done.returncode == 1
    assert "cannot be read" in done.stderr and "Traceback" not in done.stderr
