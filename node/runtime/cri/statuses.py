"""From what is remembered to what CRI shows: states, exit codes, reasons. Pure.

launcher knows               CRI state            reason
nothing, never started       CONTAINER_CREATED
nothing, though started      CONTAINER_EXITED     ContainerStatusUnknown, exit code 255
runs                         CONTAINER_RUNNING
never ran, ended             CONTAINER_EXITED     StartError
ended with 0                 CONTAINER_EXITED     Completed
ended otherwise              CONTAINER_EXITED     Error
"""

from collections.abc import Mapping

from podling.node.cripb import api_pb2 as cri
from podling.node.runtime.cri import images
from podling.node.runtime.cri.records import ContainerRecord, SandboxRecord
from podling.node.runtime.launcher.protocol import ProcessRecord

LOST = 255
"""Exit code of a container whose end nobody saw (kubelet's convention)."""


def state_of(
    record: ContainerRecord, process: ProcessRecord | None
) -> cri.ContainerState.ValueType:
    if process is None:
        return cri.CONTAINER_EXITED if record.started else cri.CONTAINER_CREATED
    return cri.CONTAINER_EXITED if process.finished_at else cri.CONTAINER_RUNNING


def container(record: ContainerRecord, process: ProcessRecord | None) -> cri.Container:
    image_id = images.image_id(record.config.image.image)
    return cri.Container(
        id=record.id,
        pod_sandbox_id=record.sandbox_id,
        metadata=record.config.metadata,
        image=record.config.image,
        image_ref=image_id,
        image_id=image_id,
        state=state_of(record, process),
        created_at=record.created_at,
        labels=record.config.labels,
        annotations=record.config.annotations,
    )


def container_status(record: ContainerRecord, process: ProcessRecord | None) -> cri.ContainerStatus:
    config = record.config
    image_id = images.image_id(config.image.image)
    status = cri.ContainerStatus(
        id=record.id,
        metadata=config.metadata,
        state=state_of(record, process),
        created_at=record.created_at,
        image=config.image,
        image_ref=image_id,
        image_id=image_id,
        labels=config.labels,
        annotations=config.annotations,
        mounts=config.mounts,
        log_path=record.log_path,
        stop_signal=config.stop_signal or cri.SIGTERM,
    )
    if config.linux.HasField("resources"):
        status.resources.linux.CopyFrom(config.linux.resources)
    if process is not None:
        _add_process(status, process)
    elif record.started:
        status.exit_code = LOST
        status.started_at = status.finished_at = record.created_at
        status.reason = "ContainerStatusUnknown"
        status.message = "the node's launcher does not remember this container"
    return status


def _add_process(status: cri.ContainerStatus, process: ProcessRecord) -> None:
    status.started_at = process.started_at
    if not process.finished_at:
        return
    status.finished_at = process.finished_at
    status.exit_code = process.exit_code
    status.message = process.message
    if not process.ran and process.signal == 0:
        status.reason = "StartError"
    else:
        status.reason = "Completed" if process.exit_code == 0 else "Error"


def sandbox(record: SandboxRecord) -> cri.PodSandbox:
    return cri.PodSandbox(
        id=record.id,
        metadata=record.config.metadata,
        state=_sandbox_state(record),
        created_at=record.created_at,
        labels=record.config.labels,
        annotations=record.config.annotations,
    )


def sandbox_status(record: SandboxRecord) -> cri.PodSandboxStatus:
    status = cri.PodSandboxStatus(
        id=record.id,
        metadata=record.config.metadata,
        state=_sandbox_state(record),
        created_at=record.created_at,
        labels=record.config.labels,
        annotations=record.config.annotations,
    )
    status.network.SetInParent()
    if record.addresses:
        status.network.ip = record.addresses[0]
        status.network.additional_ips.extend(cri.PodIP(ip=ip) for ip in record.addresses[1:])
    options = record.config.linux.security_context.namespace_options
    status.linux.namespaces.options.CopyFrom(options)
    return status


def matches(wanted: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether `labels` have everything `wanted`."""
    return all(labels.get(name) == value for name, value in wanted.items())


def _sandbox_state(record: SandboxRecord) -> cri.PodSandboxState.ValueType:
    return cri.SANDBOX_READY if record.ready else cri.SANDBOX_NOTREADY
