"""Pod."""

from collections.abc import Mapping
from typing import Any

from podling.controlplane.apiserver.strategies.base import BaseStrategy, restore
from podling.controlplane.apiserver.strategies.pod_defaults import default_pod
from podling.controlplane.apiserver.strategies.pod_update_validation import (
    validate_pod_spec_update,
)
from podling.controlplane.apiserver.strategies.pod_validation import validate_pod_spec
from podling.controlplane.apiserver.strategies.pod_warnings import pod_warnings
from podling.controlplane.apiserver.strategies.strategy import WriteContext
from podling.kube import quantity
from podling.kube.errors import FieldError
from podling.kube.meta import Object

FINISHED = frozenset({"Succeeded", "Failed"})
_QOS_RESOURCES = ("cpu", "memory")


class PodStrategy(BaseStrategy):
    has_status = True
    has_generation = True

    def default(self, obj: Object) -> None:
        default_pod(obj)

    def prepare_create(self, obj: Object, context: WriteContext) -> None:
        super().prepare_create(obj, context)
        obj["status"] = {"phase": "Pending", "qosClass": qos_class(obj["spec"])}

    def validate(self, obj: Object) -> list[FieldError]:
        spec = obj.get("spec") or {}
        return [*super().validate(obj), *validate_pod_spec(spec, "spec", is_pod=True)]

    def validate_update(self, new: Object, old: Object) -> list[FieldError]:
        return [
            *super().validate_update(new, old),
            *validate_pod_spec_update(new.get("spec") or {}, old.get("spec") or {}),
        ]

    def prepare_status(self, new: Object, old: Object) -> None:
        super().prepare_status(new, old)
        status = new.setdefault("status", {})
        # The class follows from the spec and is nobody's to report.
        restore(status, old.get("status") or {}, "qosClass")

    def warnings(self, obj: Object) -> list[str]:
        return pod_warnings(obj)

    def graceful_deletion(self, obj: Object, options: Mapping[str, Any]) -> int:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        if not spec.get("nodeName") or status.get("phase") in FINISHED:
            return 0  # nobody is there to stop it, or it has stopped
        period = options.get("gracePeriodSeconds")
        if period is None:
            period = spec.get("terminationGracePeriodSeconds", 0)
        return 1 if period < 0 else int(period)


def qos_class(spec: Object) -> str:
    """Guaranteed, Burstable or BestEffort (document "Pod Quality of Service Classes")."""
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    amounts = [container.get("resources") or {} for container in containers]
    if not any(_positive(one.get(field)) for one in amounts for field in ("requests", "limits")):
        return "BestEffort"
    return "Guaranteed" if all(map(_is_guaranteed, amounts)) else "Burstable"


def _positive(amounts: Object | None) -> bool:
    return any(_amount(amounts, resource) > 0 for resource in _QOS_RESOURCES)


def _is_guaranteed(resources: Object) -> bool:
    return all(
        _amount(resources.get("limits"), resource) > 0
        and _amount(resources.get("limits"), resource)
        == _amount(resources.get("requests") or resources.get("limits"), resource)
        for resource in _QOS_RESOURCES
    )


def _amount(amounts: Object | None, resource: str) -> int:
    """In billionths."""
    try:
        return quantity.parse((amounts or {}).get(resource, 0)).nanos
    except ValueError:
        return 0  # reported by validation
