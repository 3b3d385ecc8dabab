"""What the kubelet relies on, shown for Podling's own runtime."""

import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from podling.aiokit.clock import system_wall_clock
from podling.aiokit.ids import random_uuid, system_dice
from podling.node.kubelet.cri.runtime_client import RuntimeClient
from podling.node.runtime.cri.pod_network import LoopbackNetwork
from podling.node.runtime.cri.runtime_server import RuntimeConfig, RuntimeServer
from tests.contract.container_runtime import RuntimeContract
from tests.node.runtime.launched import PATH, LauncherProcess


@dataclass(slots=True)
class RunningReal:
    client: RuntimeClient
    log_directory: Path
    folder: Path

    def command(self, name: str) -> list[str]:
        code = self.folder / f"{name}.code"
        script = f"until [ -s {code} ]; do sleep 0.01; done; exit $(cat {code})"
        return ["sh", "-c", script]

    def end(self, pod: str, name: str, code: int) -> None:
        (self.folder / f"{name}.code").write_text(str(code))


class TestRuntimeServer(RuntimeContract):
    @pytest.fixture
    async def running(self) -> AsyncIterator[RunningReal]:
        with tempfile.TemporaryDirectory(prefix="rc-") as path:
            folder = Path(path)
            launcher = LauncherProcess(folder)
            assert launcher.start(), launcher.errors()
            config = RuntimeConfig(
                socket_path=folder / "cri.sock",
                state_dir=folder / "runtime",
                launcher_socket=launcher.socket,
                environment={"PATH": PATH},
            )
            server = RuntimeServer(
                config,
                LoopbackNetwork(["127.1.67.0/24"]),
                system_wall_clock,
                random_uuid,
                system_dice(),
            )
            await server.start()
            client = RuntimeClient(str(config.socket_path), system_wall_clock)
            yield RunningReal(client, folder / "logs", folder)
            await client.close()
            await server.stop()
            launcher.close()
