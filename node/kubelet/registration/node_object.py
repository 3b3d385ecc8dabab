"""The Node object as its kubelet writes it. Pure.

Conditions of other parties (and the taints, which are the API server's and the controllers') stay
as they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from podling.kube import conditions, timestamps
from podling.kube.meta import Object

HOSTNAME_LABEL = "kubernetes.io/hostname"


@dataclass(frozen=True, slots=True)
class Machine:
    """Facts that do not change while the kubelet runs."""

    architecture: str
    operating_system: str
    kernel_version: str
    os_image: str
    machine_id: str
    boot_id: str
    cpus: int
    memory: int
    """Bytes."""
    storage: int
    """Bytes of the file system that holds the pods."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether pods may come, and if not, why."""

    ready: bool
    reason: str
    message: str


READY = Readiness(True, "KubeletReady", "kubelet is posting ready status")


@dataclass(frozen=True, slots=True)
class NodeReport:
    """What the kubelet knows of its node right now."""

    name: str
    machine: Machine
    capacity: Mapping[str, str]
    allocatable: Mapping[str, str]
    addresses: Sequence[str]
    """The node's own, the main one first; may be empty while they are not known."""
    port: int
    """Of the node API; 0: not listening yet."""
    runtime: str
    """`name://version`."""
    version: str
    readiness: Readiness


def capacity(machine: Machine, max_pods: int, given: Mapping[str, str]) -> dict[str, str]:
    """What the machine has; `given` amounts replace it."""
    found = {
        "cpu": str(machine.cpus),
        "memory": f"{machine.memory // 1024}Ki",
        "ephemeral-storage": f"{machine.storage // 1024}Ki",
        "pods": str(max_pods),
    }
    return found | dict(given)


def labels(report: NodeReport) -> dict[str, str]:
    return {
        HOSTNAME_LABEL: report.name,
        "kubernetes.io/os": report.machine.operating_system,
        "kubernetes.io/arch": report.machine.architecture,
        "beta.kubernetes.io/os": report.machine.operating_system,
        "beta.kubernetes.io/arch": report.machine.architecture,
    }


def status(report: NodeReport, previous: Object, now: float) -> Object:
    """The status to report; `previous` is what the API has."""
    machine = report.machine
    addresses = [{"type": "InternalIP", "address": address} for address in report.addresses]
    found: Object = {
        "capacity": dict(report.capacity),
        "allocatable": dict(report.allocatable),
        "addresses": [*addresses, {"type": "Hostname", "address": report.name}],
        "conditions": _conditions(report.readiness, previous, now),
        "nodeInfo": {
            "architecture": machine.architecture,
            "bootID": machine.boot_id,
            "containerRuntimeVersion": report.runtime,
            "kernelVersion": machine.kernel_version,
            "kubeProxyVersion": "",
            "kubeletVersion": report.version,
            "machineID": machine.machine_id,
            "operatingSystem": machine.operating_system,
            "osImage": machine.os_image,
            "systemUUID": machine.machine_id,
        },
    }
    if report.port:
        found["daemonEndpoints"] = {"kubeletEndpoint": {"Port": report.port}}
    return found


def _conditions(readiness: Readiness, previous: Object, now: float) -> list[Object]:
    found: list[Object] = list(previous.get("conditions") or [])
    for kind, reason, message in (
        ("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ):
        found = conditions.set_condition(found, kind, "False", reason, message, now)
    ready = "True" if readiness.ready else "False"
    found = conditions.set_condition(
        found, "Ready", ready, readiness.reason, readiness.message, now
    )
    ours = {"MemoryPressure", "DiskPressure", "PIDPressure", "Ready"}
    stamp = timestamps.format_time(now)
    return [
        {**entry, "lastHeartbeatTime": stamp} if entry["type"] in ours else entry for entry in found
    ]


def differs(old: Object, new: Object) -> bool:
    """Whether two statuses say different things; the time of the heartbeat says nothing."""
    return any(_timeless(key, old.get(key)) != _timeless(key, value) for key, value in new.items())


def _timeless(key: str, value: object) -> object:
    if key != "conditions" or not isinstance(value, list):
        return value
    return [
        {name: part for name, part in entry.items() if name != "lastHeartbeatTime"}
        for entry in value
    ]
