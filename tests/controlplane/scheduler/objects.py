"""Builders of nodes and pods, every option defaulted."""

from collections.abc import Iterable, Mapping
from typing import Any

from podling.controlplane.scheduler.node_info import NodeInfo, node_facts
from podling.controlplane.scheduler.pod_info import PodInfo, pod_info
from podling.kube.meta import Object


def node(
    name: str = "n1",
    *,
    cpu: str = "4",
    memory: str = "8Gi",
    pods: str = "110",
    labels: Mapping[str, str] | None = None,
    taints: Iterable[Mapping[str, str]] = (),
    unschedulable: bool = False,
) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/hostname": name, **(labels or {})},
        },
        "spec": {"taints": list(taints), "unschedulable": unschedulable},
        "status": {"allocatable": {"cpu": cpu, "memory": memory, "pods": pods}},
    }


def pod(
    name: str = "p",
    *,
    requests: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    owner: str = "",
    node_name: str = "",
    phase: str = "Pending",
    host_port: int = 0,
    **spec: Any,
) -> Object:
    container: Object = {"name": "main", "resources": {"requests": dict(requests or {})}}
    if host_port:
        container["ports"] = [{"containerPort": 80, "hostPort": host_port}]
    metadata: Object = {
        "name": name,
        "namespace": "default",
        "uid": f"uid-{name}",
        "labels": dict(labels or {}),
    }
    if owner:
        metadata["ownerReferences"] = [{"uid": owner, "controller": True}]
    if node_name:
        spec["nodeName"] = node_name
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [container], **spec},
        "status": {"phase": phase},
    }


def a_pod(name: str = "p", **more: Any) -> PodInfo:
    return pod_info(pod(name, **more))


def a_node(name: str = "n1", running: Iterable[PodInfo] = (), **more: Any) -> NodeInfo:
    info = NodeInfo(node_facts(node(name, **more)))
    for each in running:
        info.add(each)
    return info


def node_affinity(kind: str, value: Any) -> Object:
    """`kind` is `required` or `preferred`."""
    return {"nodeAffinity": {f"{kind}DuringSchedulingIgnoredDuringExecution": value}}


def expression(key: str, operator: str, *values: str) -> Object:
    return {"key": key, "operator": operator, "values": list(values)}
