"""Reading a pod's spec: its containers in order, and the values that decide. Pure."""

from collections.abc import Iterator

from podling.kube import meta
from podling.kube.meta import Object
from podling.node.kubelet.planning import restart_policy

SHORTEST_GRACE = 1
"""Seconds: even a pod deleted by force gets this long, so that its processes can be told."""


def containers(pod: Object) -> list[Object]:
    found: list[Object] = pod.get("spec", {}).get("containers") or []
    return found


def init_containers(pod: Object) -> list[Object]:
    found: list[Object] = pod.get("spec", {}).get("initContainers") or []
    return found


def all_containers(pod: Object) -> Iterator[Object]:
    """Init containers first, in the order in which they start."""
    yield from init_containers(pod)
    yield from containers(pod)


def container(pod: Object, name: str) -> Object | None:
    return next((spec for spec in all_containers(pod) if spec["name"] == name), None)


def policy(pod: Object) -> str:
    """The pod's restart policy."""
    text: str = pod.get("spec", {}).get("restartPolicy") or restart_policy.ALWAYS
    return text


def is_sidecar(spec: Object) -> bool:
    """Whether an init container keeps running beside the others (its own policy is Always)."""
    return spec.get("restartPolicy") == restart_policy.ALWAYS


def policy_of(pod: Object, spec: Object) -> str:
    """The restart policy of one container.

    An init container of a pod that restarts always is started again only when it failed.
    """
    if is_sidecar(spec):
        return restart_policy.ALWAYS
    of_pod = policy(pod)
    if of_pod == restart_policy.ALWAYS and spec in init_containers(pod):
        return restart_policy.ON_FAILURE
    return of_pod


def grace_period(pod: Object) -> int:
    """Seconds between SIGTERM and SIGKILL for this pod as it is now."""
    grace = None
    if meta.is_deleting(pod):
        grace = pod["metadata"].get("deletionGracePeriodSeconds")
    if grace is None:
        grace = pod.get("spec", {}).get("terminationGracePeriodSeconds", 30)
    return max(SHORTEST_GRACE, int(grace))


def has_post_start_hook(pod: Object, name: str) -> bool:
    spec = container(pod, name) or {}
    return bool((spec.get("lifecycle") or {}).get("postStart"))


def uses_host_network(pod: Object) -> bool:
    return bool(pod.get("spec", {}).get("hostNetwork"))


def is_terminal(pod: Object) -> bool:
    """Whether the API says that this pod is over for good."""
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def port_number(spec: Object, port: int | str) -> int:
    """The number of a container's port, which may be given by name; ValueError if unknown."""
    if isinstance(port, int):
        return port
    for entry in spec.get("ports") or []:
        if entry.get("name") == port:
            return int(entry["containerPort"])
    if port.isdecimal():
        return int(port)
    raise ValueError(f'container "{spec["name"]}" has no port named "{port}"')
