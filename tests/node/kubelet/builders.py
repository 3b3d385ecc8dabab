"""Pods and runtime states for the tests of the kubelet, every option defaulted."""

from typing import Any

from podling.kube.meta import Object
from podling.node.kubelet.planning.pod_view import Health, PodView
from podling.node.kubelet.planning.restart_policy import DelayRange, RestartHistory
from podling.node.kubelet.planning.runtime_status import (
    Container,
    ContainerState,
    PodRuntime,
    Sandbox,
    order,
)

UID = "11111111-2222-3333-4444-555555555555"
NOW = 1_000_000.0


def container_spec(name: str = "app", **more: Any) -> Object:
    return {"name": name, "image": "app:1", **more}


def pod(
    *containers: Object, name: str = "web", status: Object | None = None, **spec: Any
) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "uid": UID, "labels": {"app": name}},
        "spec": {
            "nodeName": "node-1",
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "containers": list(containers) or [container_spec()],
            **spec,
        },
        "status": status or {},
    }


def sandbox(attempt: int = 0, *, ready: bool = True) -> Sandbox:
    return Sandbox(f"sandbox-{attempt}", attempt, ready, NOW - 100, ("127.9.64.2",))


def running(name: str = "app", attempt: int = 0, **more: Any) -> Container:
    return _container(name, attempt, ContainerState.RUNNING, **more)


def exited(name: str = "app", attempt: int = 0, code: int = 0, **more: Any) -> Container:
    more.setdefault("finished_at", NOW - 5)
    return _container(name, attempt, ContainerState.EXITED, exit_code=code, **more)


def created(name: str = "app", attempt: int = 0) -> Container:
    return _container(name, attempt, ContainerState.CREATED)


def _container(name: str, attempt: int, state: ContainerState, **more: Any) -> Container:
    more.setdefault("sandbox_id", "sandbox-0")
    more.setdefault("started_at", NOW - 60)
    more.setdefault("created_at", NOW - 60)
    return Container(id=f"{name}-{attempt}", name=name, attempt=attempt, state=state, **more)


def runtime(*parts: Sandbox | Container) -> PodRuntime:
    sandboxes = [part for part in parts if isinstance(part, Sandbox)]
    containers = [part for part in parts if isinstance(part, Container)]
    return PodRuntime(UID, "default", "web", *order(sandboxes, containers))


def view(of: Object, *parts: Sandbox | Container, **more: Any) -> PodView:
    """A view in which every running container is healthy unless `health` says otherwise."""
    health = {part.id: Health() for part in parts if isinstance(part, Container) and part.running}
    more["health"] = health | more.get("health", {})
    more.setdefault("history", RestartHistory(DelayRange(initial=10.0, cap=300.0)))
    return PodView(of, runtime(*parts), **more)
