"""CRI's calls about pod sandboxes."""

import logging
import shutil
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from pathlib import Path

from podling.aiokit.ids import IdSource
from podling.node.cripb import api_pb2 as cri
from podling.node.runtime.cri import statuses
from podling.node.runtime.cri.container_calls import ContainerCalls
from podling.node.runtime.cri.cri_errors import CriError
from podling.node.runtime.cri.pod_network import NetworkError, PodNetwork
from podling.node.runtime.cri.pod_table import PodTable
from podling.node.runtime.cri.records import SandboxRecord

log = logging.getLogger(__name__)


class SandboxCalls:
    """Request in, response out; raises CriError."""

    def __init__(
        self,
        table: PodTable,
        network: PodNetwork,
        containers: ContainerCalls,
        ids: IdSource,
        remover: Executor,
    ) -> None:
        """`remover` deletes folders, which may be big, beside the event loop."""
        self._table = table
        self._network = network
        self._containers = containers
        self._ids = ids
        self._remover = remover

    def unary(self) -> list[Callable[..., Awaitable[object]]]:
        return [
            self.RunPodSandbox, self.StopPodSandbox, self.RemovePodSandbox, self.PodSandboxStatus,
            self.ListPodSandbox, self.UpdatePodSandboxResources,
        ]  # fmt: skip

    def clean_up(self) -> None:
        """Remove what is left of sandboxes whose making or removal was cut short."""
        for folder in self._table.files.unknown_folders():
            self._remove_folder(folder)

    async def RunPodSandbox(self, request: cri.RunPodSandboxRequest) -> cri.RunPodSandboxResponse:
        self._check(request)
        record = SandboxRecord(
            id=self._ids().replace("-", ""),
            config=request.config,
            created_at=self._table.now(),
            addresses=(),
        )
        if not record.host_network:
            try:
                record.addresses = await self._network.attach(record.id)
            except NetworkError as error:
                raise CriError("unavailable", f"no address for the pod: {error}") from None
        try:
            self._table.files.make_sandbox(record)
        except OSError as error:
            await self._network.detach(record.id)
            self._remove_folder(self._table.files.folder(record.id))
            raise CriError("unknown", f"cannot make the pod's folder: {error}") from None
        self._table.add_sandbox(record)
        return cri.RunPodSandboxResponse(pod_sandbox_id=record.id)

    async def StopPodSandbox(
        self, request: cri.StopPodSandboxRequest
    ) -> cri.StopPodSandboxResponse:
        record = self._table.find_sandbox(request.pod_sandbox_id)
        if record is not None:
            await self._stop(record)
        return cri.StopPodSandboxResponse()

    async def RemovePodSandbox(
        self, request: cri.RemovePodSandboxRequest
    ) -> cri.RemovePodSandboxResponse:
        record = self._table.find_sandbox(request.pod_sandbox_id)
        if record is not None:
            await self._stop(record)
            for container in self._table.containers(record.id):
                await self._containers.remove(container)
            self._remove_folder(self._table.files.delete_sandbox(record.id))
            self._table.drop_sandbox(record)
        return cri.RemovePodSandboxResponse()

    async def PodSandboxStatus(
        self, request: cri.PodSandboxStatusRequest
    ) -> cri.PodSandboxStatusResponse:
        record = self._table.sandbox(request.pod_sandbox_id)
        return cri.PodSandboxStatusResponse(
            status=statuses.sandbox_status(record),
            containers_statuses=[
                self._table.status(container) for container in self._table.containers(record.id)
            ],
            timestamp=self._table.now(),
        )

    async def ListPodSandbox(
        self, request: cri.ListPodSandboxRequest
    ) -> cri.ListPodSandboxResponse:
        wanted = request.filter
        found = []
        for record in self._table.sandboxes():
            item = statuses.sandbox(record)
            if wanted.id not in ("", record.id):
                continue
            if wanted.HasField("state") and wanted.state.state != item.state:
                continue
            if statuses.matches(wanted.label_selector, item.labels):
                found.append(item)
        return cri.ListPodSandboxResponse(items=found)

    async def UpdatePodSandboxResources(
        self, request: cri.UpdatePodSandboxResourcesRequest
    ) -> cri.UpdatePodSandboxResourcesResponse:
        # Best effort by its definition, and nothing is limited here.
        self._table.sandbox(request.pod_sandbox_id)
        return cri.UpdatePodSandboxResourcesResponse()

    def _check(self, request: cri.RunPodSandboxRequest) -> None:
        metadata = request.config.metadata
        if not metadata.name or not metadata.uid:
            raise CriError("invalid_argument", "a pod sandbox needs metadata with name and uid")
        if request.runtime_handler:
            raise CriError(
                "invalid_argument",
                f'no runtime handler "{request.runtime_handler}": there is only the default one',
            )
        for record in self._table.sandboxes():
            if record.config.metadata == metadata:
                raise CriError(
                    "already_exists",
                    f"pod sandbox {metadata.namespace}/{metadata.name} attempt {metadata.attempt} "
                    f"exists as {record.id}",
                )

    async def _stop(self, record: SandboxRecord) -> None:
        for container in self._table.containers(record.id):
            await self._containers.stop(container, grace=0)
        if not record.ready:
            return
        await self._network.detach(record.id)
        record.ready, record.addresses = False, ()
        self._table.files.save_sandbox(record)
        self._table.sandbox_stopped(record)

    def _remove_folder(self, folder: Path) -> None:
        self._remover.submit(shutil.rmtree, folder, ignore_errors=True)
