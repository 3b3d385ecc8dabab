"""The real etcdctl: run to its end, or left running; and the list of its commands."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

import pytest

from tests.controlplane.store.members import PATIENCE

ETCDCTL = shutil.which("etcdctl")
ENVIRONMENT = {**os.environ, "ETCDCTL_API": "3"}

PATIENT = ("--command-timeout=30s", "--dial-timeout=30s", "--keepalive-timeout=60s")
"""It gives up soon where the machine is busy, unless told otherwise."""

needs_etcdctl = pytest.mark.skipif(
    ETCDCTL is None, reason="no etcdctl in PATH (apt install etcd-client)"
)

#: Runs etcdctl with arguments and standard input; returns its output. Fails if it fails.
Run = Callable[..., Coroutine[Any, Any, str]]


def command(endpoints: str, words: Sequence[str]) -> list[str]:
    return [str(ETCDCTL), "--endpoints", endpoints, *PATIENT, *words]


async def etcdctl(endpoints: str, *words: str, stdin: str = "", fails: bool = False) -> str:
    """Its output; what it complains of, if it is to fail."""
    process = await asyncio.create_subprocess_exec(
        *command(endpoints, words),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, env=ENVIRONMENT,
    )  # fmt: skip
    async with asyncio.timeout(PATIENCE):
        output, error = await process.communicate(stdin.encode())
    text = (error if fails else output).decode()
    assert (process.returncode != 0) == fails, f"etcdctl {words}: {error.decode()}"
    return text


class Running:
    """An etcdctl that goes on until it is ended."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def says(self, *lines: str) -> None:
        """Wait for these lines, in order; there may be others between them."""
        assert self._process.stdout is not None
        seen = []
        try:
            async with asyncio.timeout(PATIENCE):
                for line in lines:
                    while (got := (await self._process.stdout.readline()).decode()) != line + "\n":
                        assert got, f"etcdctl ended; it said {seen}, and not {line!r}"
                        seen.append(got)
        except TimeoutError:
            raise AssertionError(f"etcdctl said {seen}, and not {lines}") from None

    async def line(self) -> str:
        """The next one that it says."""
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            return (await self._process.stdout.readline()).decode().rstrip("\n")

    async def tell(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode())
        await self._process.stdin.drain()

    async def interrupt(self) -> int:
        """As Control-C does; returns the exit code."""
        self._process.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENCE):
            await self._process.communicate()
        assert self._process.returncode is not None
        return self._process.returncode


@contextlib.asynccontextmanager
async def running(endpoints: str, *words: str) -> AsyncIterator[Running]:
    process = await asyncio.create_subprocess_exec(
        *command(endpoints, words),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT, env=ENVIRONMENT,
    )  # fmt: skip
    try:
        yield Running(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


def commands() -> set[str]:
    """Every command that etcdctl lists, such as `put` and `lease grant`."""
    text = subprocess.run(
        [str(ETCDCTL), "help"], env=ENVIRONMENT, capture_output=True, text=True, check=True
    ).stdout
    listed = text.split("COMMANDS:")[1].split("OPTIONS:")[0]
    return {line.strip("\t").split("\t")[0] for line in listed.splitlines() if line.strip()}
