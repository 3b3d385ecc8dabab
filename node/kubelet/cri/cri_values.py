"""CRI's messages as the kubelet's plain values. Pure."""

from collections.abc import Iterable

from podling.node.cripb import api_pb2 as cri
from podling.node.kubelet.containers import container_config
from podling.node.kubelet.cri.runtime_cache import Snapshot
from podling.node.kubelet.planning.runtime_status import Container, ContainerState, Sandbox

_STATES = {
    cri.CONTAINER_CREATED: ContainerState.CREATED,
    cri.CONTAINER_RUNNING: ContainerState.RUNNING,
    cri.CONTAINER_EXITED: ContainerState.EXITED,
}


def snapshot(
    status: cri.PodSandboxStatus, containers: Iterable[cri.ContainerStatus], taken_at: int
) -> Snapshot:
    """One sandbox with its containers; `taken_at` in nanoseconds since the epoch."""
    return Snapshot(
        uid=status.metadata.uid,
        namespace=status.metadata.namespace,
        name=status.metadata.name,
        sandbox=sandbox(status),
        containers=tuple(container(each, status.id) for each in containers),
        taken_at=taken_at,
    )


def sandbox(status: cri.PodSandboxStatus) -> Sandbox:
    addresses = [status.network.ip, *(extra.ip for extra in status.network.additional_ips)]
    return Sandbox(
        id=status.id,
        attempt=status.metadata.attempt,
        ready=status.state == cri.SANDBOX_READY,
        created_at=seconds(status.created_at),
        ips=tuple(address for address in addresses if address),
    )


def container(status: cri.ContainerStatus, sandbox_id: str) -> Container:
    return Container(
        id=status.id,
        name=status.metadata.name,
        sandbox_id=sandbox_id,
        attempt=status.metadata.attempt,
        state=_STATES.get(status.state, ContainerState.UNKNOWN),
        created_at=seconds(status.created_at),
        started_at=seconds(status.started_at),
        finished_at=seconds(status.finished_at),
        exit_code=status.exit_code,
        image=status.image.user_specified_image or status.image.image,
        image_ref=status.image_ref,
        reason=status.reason,
        message=status.message,
        spec_hash=status.annotations.get(container_config.SPEC_HASH, ""),
        log_path=status.log_path,
    )


def seconds(nanoseconds: int) -> float:
    return nanoseconds / 1e9
