"""Objects as controllers see them, every field defaulted."""

import itertools
from typing import Any

from podling.kube import timestamps
from podling.kube.meta import Object

_numbers = itertools.count(1)


def uid() -> str:
    return f"uid-{next(_numbers)}"


def metadata(name: str, created: float = 0.0, **fields: Any) -> Object:
    return {
        "name": name,
        "namespace": "default",
        "uid": uid(),
        "creationTimestamp": timestamps.format_time(created),
        **fields,
    }


def template(image: str = "web:1", app: str = "web") -> Object:
    return {
        "metadata": {"labels": {"app": app}},
        "spec": {"containers": [{"name": "main", "image": image}]},
    }


def deployment(replicas: int = 3, image: str = "web:1", **spec: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata("web", generation=1),
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(image),
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
            },
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": 600,
            **spec,
        },
    }


def replica_set(
    name: str = "web-1",
    size: int = 3,
    available: int | None = None,
    image: str = "web:1",
    owner: Object | None = None,
    created: float = 0.0,
    annotations: dict[str, str] | None = None,
) -> Object:
    ready = size if available is None else available
    fields: Object = {"annotations": annotations or {}, "generation": 1}
    if owner is not None:
        fields["ownerReferences"] = [owner_reference(owner)]
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": metadata(name, created, **fields),
        "spec": {
            "replicas": size,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(image),
        },
        "status": {
            "replicas": size,
            "readyReplicas": ready,
            "availableReplicas": ready,
            "observedGeneration": 1,
        },
    }


def owner_reference(owner: Object) -> Object:
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def pod(
    name: str = "p",
    *,
    phase: str = "Running",
    ready: bool = True,
    ready_at: float = 0.0,
    node: str = "node-1",
    address: str = "10.0.0.1",
    owner: Object | None = None,
    created: float = 0.0,
    labels: dict[str, str] | None = None,
    deleting: bool = False,
    restarts: int = 0,
    **spec: Any,
) -> Object:
    fields: Object = {"labels": {"app": "web"} if labels is None else labels}
    if owner is not None:
        fields["ownerReferences"] = [owner_reference(owner)]
    if deleting:
        fields["deletionTimestamp"] = timestamps.format_time(0.0)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata(name, created, **fields),
        "spec": {"nodeName": node, **template()["spec"], **spec},
        "status": {
            "phase": phase,
            "podIP": address,
            "podIPs": [{"ip": address}] if address else [],
            "conditions": [
                {
                    "type": "Ready",
                    "status": "True" if ready else "False",
                    "lastTransitionTime": timestamps.format_time(ready_at),
                }
            ],
            "containerStatuses": [{"name": "main", "restartCount": restarts}],
        },
    }


def service(name: str = "web", **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(name),
        "spec": {
            "type": "ClusterIP",
            "selector": {"app": "web"},
            "ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080}],
            "ipFamilies": ["IPv4"],
            **spec,
        },
    }


def node(name: str = "node-1", ready: str = "True", **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": metadata(name),
        "spec": spec,
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }
