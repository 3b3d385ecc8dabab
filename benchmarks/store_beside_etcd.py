#!/usr/bin/env python3
"""Puts a second through gRPC: `podling store` beside etcd, in turns on the same machine and disk.

    benchmarks/store_beside_etcd.py [--clients 1 16 64 256] [--seconds 4] [--rounds 5]

Three members each, over loopback, every write synced to disk by both. The load comes from h2load
(Debian: nghttp2-client), which costs a fraction of what any gRPC library's client does: so the
servers share the two cores with little else. Each client is a connection with one put at a time
under way, of 256 bytes to one key, to the leader. Prints medians and ratios; a round in which not
every put became a revision is an error.
"""

import argparse
import contextlib
import os
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc

from podling.controlplane.etcdpb import rpc_pb2, rpc_pb2_grpc
from tests.ports import free_ports

VALUE = os.urandom(256)
GOALS = {1: 0.4, 16: 0.4, 64: 0.22, 256: 0.18}
"""Share of etcd's puts a second, by clients."""
PROGRAMS = {
    "etcd": [shutil.which("etcd") or "etcd"],
    "podling": [str(Path(sys.executable).with_name("podling")), "store"],
}


@dataclass(frozen=True)
class Result:
    """Of one round."""

    rate: float
    """Puts per second."""
    p50: float
    p99: float
    """Milliseconds."""
    cpu: float
    """Microseconds of processor time of all three members, per put."""


class Members:
    """Three processes of one program that form a cluster."""

    def __init__(self, program: Sequence[str], folder: Path) -> None:
        clients, peers = free_ports(3), free_ports(3)
        names = ["m0", "m1", "m2"]
        cluster = ",".join(f"{n}=http://127.0.0.1:{p}" for n, p in zip(names, peers, strict=True))
        self.endpoints = [f"127.0.0.1:{port}" for port in clients]
        folder.mkdir()
        self._processes = []
        for name, client, peer in zip(names, clients, peers, strict=True):
            flags = {
                "name": name,
                "data-dir": folder / name,
                "listen-client-urls": f"http://127.0.0.1:{client}",
                "advertise-client-urls": f"http://127.0.0.1:{client}",
                "listen-peer-urls": f"http://127.0.0.1:{peer}",
                "initial-advertise-peer-urls": f"http://127.0.0.1:{peer}",
                "initial-cluster": cluster,
            }
            output = (folder / f"{name}.log").open("wb")
            command = [*program, *(f"--{flag}={value}" for flag, value in flags.items())]
            self._processes.append(subprocess.Popen(command, stdout=output, stderr=output))

    def leader(self) -> str:
        """The endpoint of the leader, once there is one."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            for endpoint in self.endpoints:
                with contextlib.suppress(grpc.RpcError), grpc.insecure_channel(endpoint) as channel:
                    status = rpc_pb2_grpc.MaintenanceStub(channel).Status(
                        rpc_pb2.StatusRequest(), timeout=1
                    )
                    if status.leader and status.leader == status.header.member_id:
                        return endpoint
            time.sleep(0.1)
        sys.exit(f"no leader among {self.endpoints} within 30 s")

    def cpu(self) -> float:
        """Seconds of processor time that the three have used."""
        ticks = 0
        for process in self._processes:
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(timeout=30)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[dict[str, Members]]:
    """Both clusters."""
    clusters: dict[str, Members] = {}
    try:
        for name, program in PROGRAMS.items():
            clusters[name] = Members(program, folder / name)
        yield clusters
    finally:
        for members in clusters.values():
            members.stop()


def revision(endpoint: str) -> int:
    with grpc.insecure_channel(endpoint) as channel:
        answer = rpc_pb2_grpc.KVStub(channel).Range(rpc_pb2.RangeRequest(key=b"bench"))
        return answer.header.revision


def load(members: Members, clients: int, puts: int, folder: Path) -> Result:
    """Make about `puts` puts with so many clients at once."""
    endpoint = members.leader()
    body = rpc_pb2.PutRequest(key=b"bench", value=VALUE).SerializeToString()
    (folder / "put").write_bytes(struct.pack(">BI", 0, len(body)) + body)
    times = folder / "times"
    times.unlink(missing_ok=True)
    count = max(puts // clients, 1) * clients
    before, cpu = revision(endpoint), members.cpu()
    done = subprocess.run(
        ["h2load", f"-n{count}", f"-c{clients}", "-m1", f"-d{folder / 'put'}",
         "-H", "content-type: application/grpc", "-H", "te: trailers", f"--log-file={times}",
         f"http://{endpoint}/etcdserverpb.KV/Put"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    used = members.cpu() - cpu
    if (made := revision(endpoint) - before) != count:
        sys.exit(f"{count} puts became {made} revisions:\n{done.stdout}")
    found = re.search(r"finished in .*?, ([0-9.]+) req/s", done.stdout)
    assert found is not None, done.stdout
    lasted = sorted(int(line.split("\t")[2]) / 1000 for line in times.read_text().splitlines())
    p50, p99 = lasted[len(lasted) // 2], lasted[len(lasted) * 99 // 100]
    return Result(float(found[1]), p50, p99, used / count * 1e6)


def compare(clusters: dict[str, Members], clients: int, options: argparse.Namespace) -> None:
    folder = options.folder
    sizes = {
        name: round(load(members, clients, 40 * clients, folder).rate * options.seconds)
        for name, members in clusters.items()
    }
    rounds: dict[str, list[Result]] = {name: [] for name in clusters}
    for _ in range(options.rounds):
        for name, members in clusters.items():
            rounds[name].append(load(members, clients, sizes[name], folder))
    rates = {}
    for name, results in rounds.items():
        rate, p50, p99, cpu = (
            statistics.median(getattr(each, field) for each in results)
            for field in ("rate", "p50", "p99", "cpu")
        )
        rates[name] = rate
        print(
            f"{clients:4} clients  {name:8} {rate:8,.0f} puts/s   p50 {p50:7.2f} ms   "
            f"p99 {p99:7.2f} ms   {cpu:5.0f} us CPU/put",
            flush=True,
        )
    ratio = rates["podling"] / rates["etcd"]
    print(f"{clients:4} clients  {ratio:.2f} x etcd (goal {GOALS.get(clients, 0.18)})", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clients", type=int, nargs="*", default=list(GOALS))
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for program in ("etcd", "h2load"):
        if shutil.which(program) is None:
            sys.exit(f"{program} is missing (Debian: etcd-server, nghttp2-client)")
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        options.folder = Path(folder)
        with running(options.folder) as clusters:
            for clients in options.clients:
                compare(clusters, clients, options)


if __name__ == "__main__":
    main()
