"""An API server behind a real TLS socket, on an in-memory store, with certificates of its own."""

import asyncio
import json
import os
import random
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry

from podling.aiokit.clock import system_wall_clock
from podling.aiokit.ids import random_uuid
from podling.controlplane.apiserver.api_server import ApiServer, ApiServerConfig, Surroundings
from podling.controlplane.apiserver.rest.http_server import HttpServerConfig, TlsFiles
from podling.controlplane.apiserver.rest.kubelet_logs import KubeletClientFiles
from podling.launcher.certificates import Authority, Subject
from podling.simulate.memory_storage import MemoryStorage
from tests.controlplane.apiserver.api import CONFIG, PATIENCE, never

HOST = "127.0.0.1"


class Certificates:
    """A cluster's certificate authority in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority = Authority.create("podling-test", system_wall_clock)
        self._authority.save(folder / "ca.crt", folder / "ca.key")
        self.issue("server", Subject("kube-apiserver", addresses=(HOST,)))
        self.issue("admin", Subject("kubernetes-admin", ("system:masters",)))
        self.issue("nobody", Subject("nobody"))
        self.issue("kubelet", Subject("system:node:node-1", ("system:nodes",), addresses=(HOST,)))

    def issue(self, name: str, subject: Subject) -> None:
        self._authority.issue(subject, self.path(f"{name}.crt"), self.path(f"{name}.key"))

    def path(self, name: str) -> Path:
        return self._folder / name

    def client_context(self, user: str = "") -> ssl.SSLContext:
        """What a client trusts, and who it says it is."""
        context = ssl.create_default_context(cafile=str(self.path("ca.crt")))
        if user:
            context.load_cert_chain(self.path(f"{user}.crt"), self.path(f"{user}.key"))
        return context

    def server_context(self, name: str) -> ssl.SSLContext:
        """A server that wants to know its clients."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path(f"{name}.crt"), self.path(f"{name}.key"))
        context.load_verify_locations(self.path("ca.crt"))
        context.verify_mode = ssl.CERT_REQUIRED
        return context


class Server:
    """A running server."""

    def __init__(
        self, server: ApiServer, storage: MemoryStorage, certificates: Certificates
    ) -> None:
        self.server = server
        self.storage = storage
        self.certificates = certificates

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.server.http.port}"

    def kubeconfig(self, path: Path, user: str = "admin") -> Path:
        pem = self.certificates.path
        path.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "test",
                    "clusters": [
                        {
                            "name": "test",
                            "cluster": {
                                "server": self.url,
                                "certificate-authority": str(pem("ca.crt")),
                            },
                        }
                    ],
                    "users": [
                        {
                            "name": user,
                            "user": {
                                "client-certificate": str(pem(f"{user}.crt")),
                                "client-key": str(pem(f"{user}.key")),
                            },
                        }
                    ],
                    "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
                }
            )
        )
        return path


@asynccontextmanager
async def running_server(
    certificates: Certificates, listener_fd: int | None = None, drain_seconds: float = 2.0
) -> AsyncIterator[Server]:
    pem = certificates.path
    config = ApiServerConfig(
        core=CONFIG,
        http=HttpServerConfig(
            tls=TlsFiles(
                str(pem("server.crt")), str(pem("server.key")), client_ca=str(pem("ca.crt"))
            ),
            address=HOST,
            listener_fd=listener_fd,
            drain_seconds=drain_seconds,
        ),
        kubelet_client=KubeletClientFiles(
            str(pem("admin.crt")), str(pem("admin.key")), ca=str(pem("ca.crt"))
        ),
    )
    storage = MemoryStorage()
    surroundings = Surroundings(
        system_wall_clock, random_uuid, random.Random(1), CollectorRegistry(), never
    )
    server = ApiServer(config, storage, surroundings)
    try:
        await server.start()
        async with asyncio.timeout(PATIENCE):
            await server.core.ready()
        yield Server(server, storage, certificates)
    finally:
        await server.stop()


class Kubectl:
    """The real kubectl, with a home of its own."""

    def __init__(self, program: Path, kubeconfig: Path, home: Path) -> None:
        self._program = program
        self._environment = {
            **os.environ,
            "HOME": str(home),
            "KUBECONFIG": str(kubeconfig),
            "KUBECACHEDIR": str(home / "cache"),
        }

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            self._program,
            *arguments,
            env=self._environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
        """Exit code, output, errors."""
        process = await self.start(*arguments)
        try:
            async with asyncio.timeout(60):
                output, errors = await process.communicate(stdin.encode())
        except BaseException:
            process.kill()
            await process.wait()
            raise
        assert process.returncode is not None
        return process.returncode, output.decode(), errors.decode()

    async def __call__(self, *arguments: str, stdin: str = "") -> str:
        """The output of a command that must succeed."""
        code, output, errors = await self.run(*arguments, stdin=stdin)
        assert code == 0, f"kubectl {' '.join(arguments)}: {errors}{output}"
        return output
