import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from podling.aiokit.clock import system_wall_clock
from podling.node.kubelet.cri.runtime_client import RuntimeClient
from podling.simulate.runtime import MemoryRuntime
from tests.contract.container_runtime import RuntimeContract


@dataclass(slots=True)
class RunningMemory:
    client: RuntimeClient
    log_directory: Path
    runtime: MemoryRuntime

    def command(self, name: str) -> list[str]:
        return ["sleep", "60"]

    def end(self, pod: str, name: str, code: int) -> None:
        self.runtime.exit(pod, name, code)


class TestMemoryRuntime(RuntimeContract):
    @pytest.fixture
    async def running(self) -> AsyncIterator[RunningMemory]:
        with tempfile.TemporaryDirectory(prefix="mr-") as path:
            runtime = MemoryRuntime(system_wall_clock)
            socket = f"{path}/cri.sock"
            await runtime.start(socket)
            client = RuntimeClient(socket, system_wall_clock)
            yield RunningMemory(client, Path(path) / "logs", runtime)
            await client.close()
            await runtime.stop()
