"""CRI's calls about usage."""

from collections.abc import Awaitable, Callable

from podling.node.cripb import api_pb2 as cri
from podling.node.runtime.cri import statuses, usage
from podling.node.runtime.cri.pod_table import PodTable
from podling.node.runtime.cri.records import ContainerRecord, SandboxRecord
from podling.node.runtime.cri.usage import Usage


class StatsCalls:
    """Request in, response out; raises CriError."""

    def __init__(self, table: PodTable) -> None:
        self._table = table

    def unary(self) -> list[Callable[..., Awaitable[object]]]:
        return [
            self.ContainerStats, self.ListContainerStats, self.PodSandboxStats,
            self.ListPodSandboxStats,
        ]  # fmt: skip

    async def ContainerStats(
        self, request: cri.ContainerStatsRequest
    ) -> cri.ContainerStatsResponse:
        record = self._table.container(request.container_id)
        return cri.ContainerStatsResponse(stats=self._container(record))

    async def ListContainerStats(
        self, request: cri.ListContainerStatsRequest
    ) -> cri.ListContainerStatsResponse:
        wanted = request.filter
        return cri.ListContainerStatsResponse(
            stats=[
                self._container(record)
                for record in self._running(wanted.pod_sandbox_id)
                if wanted.id in ("", record.id)
                and statuses.matches(wanted.label_selector, record.config.labels)
            ]
        )

    async def PodSandboxStats(
        self, request: cri.PodSandboxStatsRequest
    ) -> cri.PodSandboxStatsResponse:
        record = self._table.sandbox(request.pod_sandbox_id)
        return cri.PodSandboxStatsResponse(stats=self._sandbox(record))

    async def ListPodSandboxStats(
        self, request: cri.ListPodSandboxStatsRequest
    ) -> cri.ListPodSandboxStatsResponse:
        wanted = request.filter
        return cri.ListPodSandboxStatsResponse(
            stats=[
                self._sandbox(record)
                for record in self._table.sandboxes()
                if record.ready
                and wanted.id in ("", record.id)
                and statuses.matches(wanted.label_selector, record.config.labels)
            ]
        )

    def _running(self, sandbox_id: str) -> list[ContainerRecord]:
        return [
            record
            for record in self._table.containers(sandbox_id)
            if self._table.state(record) == cri.CONTAINER_RUNNING
        ]

    def _usage(self, record: ContainerRecord) -> Usage:
        process = self._table.process(record.id)
        if process is None or process.finished_at:
            return Usage(0, 0, 0)
        return usage.of_tree(process.pid)

    def _container(self, record: ContainerRecord) -> cri.ContainerStats:
        used, now = self._usage(record), self._table.now()
        return cri.ContainerStats(
            attributes=cri.ContainerAttributes(
                id=record.id,
                metadata=record.config.metadata,
                labels=record.config.labels,
                annotations=record.config.annotations,
            ),
            cpu=_cpu(used, now),
            memory=_memory(used, now),
        )

    def _sandbox(self, record: SandboxRecord) -> cri.PodSandboxStats:
        running = self._running(record.id)
        each = [self._usage(container) for container in running]
        used = Usage(
            sum(one.cpu_nanoseconds for one in each),
            sum(one.resident_bytes for one in each),
            sum(one.processes for one in each),
        )
        now = self._table.now()
        return cri.PodSandboxStats(
            attributes=cri.PodSandboxAttributes(
                id=record.id,
                metadata=record.config.metadata,
                labels=record.config.labels,
                annotations=record.config.annotations,
            ),
            linux=cri.LinuxPodSandboxStats(
                cpu=_cpu(used, now),
                memory=_memory(used, now),
                process=cri.ProcessUsage(
                    timestamp=now, process_count=cri.UInt64Value(value=used.processes)
                ),
                containers=[self._container(container) for container in running],
            ),
        )


def _cpu(used: Usage, now: int) -> cri.CpuUsage:
    return cri.CpuUsage(
        timestamp=now, usage_core_nano_seconds=cri.UInt64Value(value=used.cpu_nanoseconds)
    )


def _memory(used: Usage, now: int) -> cri.MemoryUsage:
    resident = cri.UInt64Value(value=used.resident_bytes)
    return cri.MemoryUsage(
        timestamp=now, working_set_bytes=resident, usage_bytes=resident, rss_bytes=resident
    )
