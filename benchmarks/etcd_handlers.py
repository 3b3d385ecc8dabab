#!/usr/bin/env python3
"""CPU of a put from the bytes of the request to those of the response, without any gRPC library.

    benchmarks/etcd_handlers.py [--puts 20000] [--clients 64] [--value-bytes 256] [--rounds 5]

One member, its log really synced: decoding, handler, store, Raft, log and encoding are all in it.
"""

import argparse
import asyncio
import gc
import itertools
import statistics
import tempfile
import time
from pathlib import Path

import uvloop
from store import CLUSTER, build, free_ports

from podling.controlplane.etcdpb import rpc_pb2
from podling.controlplane.store.etcd import etcd_api
from podling.controlplane.store.etcd.caller import ANYBODY
from podling.controlplane.store.etcd.messages import ResponseWriter
from podling.controlplane.store.store import Store


async def cpu_per_put(store: Store, *, puts: int, clients: int, value_bytes: int) -> float:
    """Microseconds of this process's CPU, threads included, per put."""
    writer = ResponseWriter(CLUSTER, 1, lambda: store.members.term)
    put = etcd_api.methods(store, writer, leader_timeout=3.0)["/etcdserverpb.KV/Put"]
    value = bytes(value_bytes)
    requests = [
        rpc_pb2.PutRequest(key=b"key-%08d" % number, value=value).SerializeToString()
        for number in range(puts)
    ]
    left = iter(requests)

    async def client() -> None:
        for data in left:
            response = await put.handler(put.decode(data), ANYBODY)
            response.SerializeToString()

    started = time.process_time()
    async with asyncio.TaskGroup() as tasks:
        for _ in itertools.repeat(None, clients):
            tasks.create_task(client())
    return (time.process_time() - started) / puts * 1e6


async def measure(options: argparse.Namespace) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        server = build(1, free_ports(1), Path(folder))
        await server.start()
        await server.store.linearize()
        gc.freeze()
        found = []
        for _ in range(options.rounds):
            found.append(
                await cpu_per_put(
                    server.store,
                    puts=options.puts,
                    clients=options.clients,
                    value_bytes=options.value_bytes,
                )
            )
        await server.stop()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--puts", type=int, default=20_000)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--value-bytes", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(measure(parser.parse_args()))
    print(f"{statistics.median(found):.1f} us of CPU per put (rounds: "
          + ", ".join(f"{each:.1f}" for each in found) + ")")  # fmt: skip


if __name__ == "__main__":
    main()
