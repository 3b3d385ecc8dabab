"""Tests for podling.launcher.grpc_engine."""

import subprocess
import sys

from podling.launcher import grpc_engine

ECHO = """
import asyncio, grpc, grpc.aio

async def main():
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        await channel.channel_ready()
    await server.stop(0)
    print("connected")

asyncio.run(main())
"""


def test_the_installed_library_knows_what_is_chosen() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", ECHO],
        env=grpc_engine.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert (done.stdout, done.returncode) == ("connected\n", 0), done.stderr
    assert "experiment" not in done.stderr.lower()


def test_what_a_user_has_set_stays() -> None:
    variables = {grpc_engine.VARIABLE: "promise_based_inproc_transport"}
    grpc_engine.choose(variables)
    assert variables == {grpc_engine.VARIABLE: "promise_based_inproc_transport"}
