"""CRI's calls about containers."""

import asyncio
import posixpath
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from podling.aiokit.ids import IdSource
from podling.node.cripb import api_pb2 as cri
from podling.node.runtime.cri import container_process, images, statuses
from podling.node.runtime.cri.cri_errors import Code, CriError
from podling.node.runtime.cri.images import ImageTable, NoCommand
from podling.node.runtime.cri.launcher_client import LauncherClient, LauncherGone
from podling.node.runtime.cri.pod_table import PodTable
from podling.node.runtime.cri.records import ContainerRecord
from podling.node.runtime.launcher.protocol import ErrorCode, LauncherError

T = TypeVar("T")

_CODES: Mapping[ErrorCode, Code] = {
    "not_found": "not_found",
    "exists": "already_exists",
    "invalid": "invalid_argument",
    "not_running": "failed_precondition",
    "start_failed": "unknown",
    "internal": "unknown",
}


class ContainerCalls:
    """Request in, response out; raises CriError."""

    def __init__(
        self,
        table: PodTable,
        launcher: LauncherClient,
        image_table: ImageTable,
        ids: IdSource,
        environment: Mapping[str, str],
    ) -> None:
        """`environment`: what every container has beside its own variables."""
        self._table = table
        self._launcher = launcher
        self._images = image_table
        self._ids = ids
        self._environment = environment
        self._starting: dict[str, asyncio.Event] = {}
        """Containers whose start is under way, each with what is set when it is not any more."""

    def unary(self) -> list[Callable[..., Awaitable[object]]]:
        return [
            self.CreateContainer, self.StartContainer, self.StopContainer, self.RemoveContainer,
            self.ListContainers, self.ContainerStatus, self.UpdateContainerResources,
            self.ReopenContainerLog, self.ExecSync,
        ]  # fmt: skip

    async def CreateContainer(
        self, request: cri.CreateContainerRequest
    ) -> cri.CreateContainerResponse:
        sandbox = self._table.sandbox(request.pod_sandbox_id)
        if not sandbox.ready:
            raise CriError("failed_precondition", f"pod sandbox {sandbox.id} is stopped")
        config = request.config
        self._check(config, sandbox.id)
        try:
            variables = {variable.key: variable.value for variable in config.envs}
            argv = self._images.argv(config.image.image, config.command, config.args, variables)
        except NoCommand as error:
            raise CriError("not_found", f"ErrImagePull: {error}") from None
        log_path = ""
        if config.log_path and sandbox.config.log_directory:
            log_path = posixpath.join(sandbox.config.log_directory, config.log_path)
        record = ContainerRecord(
            id=self._ids().replace("-", ""),
            sandbox_id=sandbox.id,
            config=config,
            created_at=self._table.now(),
            argv=argv,
            log_path=log_path,
        )
        self._table.files.save_container(record)
        self._table.add_container(record)
        return cri.CreateContainerResponse(container_id=record.id)

    async def StartContainer(
        self, request: cri.StartContainerRequest
    ) -> cri.StartContainerResponse:
        record = self._table.container(request.container_id)
        if record.started or record.id in self._starting:
            raise CriError("failed_precondition", f"container {record.id} was started before")
        sandbox = self._table.sandbox(record.sandbox_id)
        security = record.config.linux.security_context
        if security.HasField("run_as_user") or security.run_as_username:
            self._table.files.open_to_all(sandbox.id)
        spec = container_process.process_spec(
            record,
            sandbox,
            self._table.files.folder(sandbox.id),
            self._environment,
            own_mounts=self._launcher.capabilities.get("mount_namespace", "none") != "none",
        )
        if self._launcher.trouble:
            raise CriError("unavailable", self._launcher.trouble)
        settled = self._starting[record.id] = asyncio.Event()
        try:
            # On disk before the launcher hears of it: a start cut short is not taken for none.
            self._table.files.save_container(replace(record, started=True))
            process = await _launched(self._launcher.start_process(record.id, spec))
            self._table.set_process(process)
        finally:
            record.started = True
            del self._starting[record.id]
            settled.set()
        return cri.StartContainerResponse()

    async def StopContainer(self, request: cri.StopContainerRequest) -> cri.StopContainerResponse:
        record = self._table.find_container(request.container_id)
        if record is not None:
            await self.stop(record, grace=float(request.timeout))
        return cri.StopContainerResponse()

    async def RemoveContainer(
        self, request: cri.RemoveContainerRequest
    ) -> cri.RemoveContainerResponse:
        record = self._table.find_container(request.container_id)
        if record is not None:
            await self.remove(record)
        return cri.RemoveContainerResponse()

    async def ListContainers(
        self, request: cri.ListContainersRequest
    ) -> cri.ListContainersResponse:
        wanted = request.filter
        found = []
        for record in self._table.containers(wanted.pod_sandbox_id):
            item = statuses.container(record, self._table.process(record.id))
            if wanted.id not in ("", record.id):
                continue
            if wanted.HasField("state") and wanted.state.state != item.state:
                continue
            if statuses.matches(wanted.label_selector, item.labels):
                found.append(item)
        return cri.ListContainersResponse(containers=found)

    async def ContainerStatus(
        self, request: cri.ContainerStatusRequest
    ) -> cri.ContainerStatusResponse:
        record = self._table.container(request.container_id)
        response = cri.ContainerStatusResponse(status=self._table.status(record))
        process = self._table.process(record.id)
        if request.verbose and process is not None:
            response.info["info"] = f'{{"pid": {0 if process.finished_at else process.pid}}}'
        return response

    async def UpdateContainerResources(
        self, request: cri.UpdateContainerResourcesRequest
    ) -> cri.UpdateContainerResourcesResponse:
        """Nothing is limited here (and `Status` says so): the new values are shown, no more."""
        record = self._table.container(request.container_id)
        record.config.linux.resources.MergeFrom(request.linux)
        self._table.files.save_container(record)
        return cri.UpdateContainerResourcesResponse()

    async def ReopenContainerLog(
        self, request: cri.ReopenContainerLogRequest
    ) -> cri.ReopenContainerLogResponse:
        record = self._table.container(request.container_id)
        await _launched(self._launcher.reopen_log(record.id))
        return cri.ReopenContainerLogResponse()

    async def ExecSync(self, request: cri.ExecSyncRequest) -> cri.ExecSyncResponse:
        """Cancelling this ends the command."""
        record = self._table.container(request.container_id)
        if self._table.state(record) != cri.CONTAINER_RUNNING:
            raise CriError("failed_precondition", f"container {record.id} is not running")
        if not request.cmd:
            raise CriError("invalid_argument", "no command to execute")
        sandbox = self._table.sandbox(record.sandbox_id)
        folder = self._table.files.folder(sandbox.id)
        spec = container_process.exec_spec(record, sandbox, folder, self._environment, request)
        result = await _launched(self._launcher.exec(record.id, spec))
        if result.timed_out:
            raise CriError(
                "deadline_exceeded", f"command {request.cmd[0]!r} timed out ({request.timeout} s)"
            )
        return cri.ExecSyncResponse(
            stdout=result.stdout, stderr=result.stderr, exit_code=result.exit_code
        )

    async def stop(self, record: ContainerRecord, grace: float) -> None:
        """Returns when the container has ended; a container that does not run is no error."""
        if record.id in self._starting:
            await self._starting[record.id].wait()
        if not record.started or self._table.state(record) == cri.CONTAINER_EXITED:
            return
        number = container_process.stop_signal(record.config)
        try:
            self._table.set_process(await self._launcher.stop_process(record.id, number, grace))
        except LauncherError as error:
            if error.code != "not_found":
                raise CriError(_CODES[error.code], str(error)) from None
        except LauncherGone as error:
            raise CriError("unavailable", str(error)) from None

    async def remove(self, record: ContainerRecord) -> None:
        await self.stop(record, grace=0)
        if record.started:
            await _launched(self._launcher.forget(record.id))
        self._table.files.delete_container(record)
        self._table.drop_container(record)

    def _check(self, config: cri.ContainerConfig, sandbox_id: str) -> None:
        if not config.metadata.name:
            raise CriError("invalid_argument", "a container needs metadata with a name")
        if not images.is_valid(config.image.image):
            raise CriError(
                "invalid_argument", f'InvalidImageName: "{config.image.image}" is no image name'
            )
        for record in self._table.containers(sandbox_id):
            if record.config.metadata == config.metadata:
                raise CriError(
                    "already_exists",
                    f"container {config.metadata.name} attempt {config.metadata.attempt} exists "
                    f"as {record.id}",
                )


async def _launched(call: Awaitable[T]) -> T:
    try:
        return await call
    except LauncherError as error:
        raise CriError(_CODES[error.code], str(error)) from None
    except LauncherGone as error:
        raise CriError("unavailable", str(error)) from None
