"""Deployments and ReplicaSets."""

from typing import Any

from podling.controlplane.apiserver.tables import ages
from podling.controlplane.apiserver.tables.columns import AGE, NAME, Printer, number, text, wide
from podling.kube import label_selectors, meta
from podling.kube.meta import Object

_WIDE = (
    wide("Containers", "Names of the containers in the template."),
    wide("Images", "Images of the containers in the template."),
    wide("Selector", "Label selector of the pods."),
)


def _wide_cells(obj: Object) -> list[Any]:
    spec = obj.get("spec") or {}
    containers = ((spec.get("template") or {}).get("spec") or {}).get("containers") or ()
    return [
        ",".join(container.get("name", "") for container in containers),
        ",".join(container.get("image", "") for container in containers),
        str(label_selectors.from_object(spec.get("selector") or {})) or "<none>",
    ]


def _deployment(obj: Object, now: float) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    return [
        meta.name(obj),
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        ages.age(obj, now),
        *_wide_cells(obj),
    ]


def _replica_set(obj: Object, now: float) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    return [
        meta.name(obj),
        spec.get("replicas", 0),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        ages.age(obj, now),
        *_wide_cells(obj),
    ]


DEPLOYMENTS = Printer(
    columns=(
        NAME,
        text("Ready", "Pods that are ready, of all that should be."),
        number("Up-to-date", "Pods of the current template."),
        number("Available", "Pods that have been ready for at least minReadySeconds."),
        AGE,
        *_WIDE,
    ),
    cells=_deployment,
)

REPLICA_SETS = Printer(
    columns=(
        NAME,
        number("Desired", "Pods that there should be."),
        number("Current", "Pods that there are."),
        number("Ready", "Pods that are ready."),
        AGE,
        *_WIDE,
    ),
    cells=_replica_set,
)
