"""Deployment and ReplicaSet (API group apps/v1)."""

from typing import Any

from podling.controlplane.apiserver.strategies import values_validation
from podling.controlplane.apiserver.strategies.base import BaseStrategy
from podling.controlplane.apiserver.strategies.filling import fill, fill_zero, section
from podling.controlplane.apiserver.strategies.metadata_validation import IMMUTABLE
from podling.controlplane.apiserver.strategies.pod_defaults import default_pod_template
from podling.controlplane.apiserver.strategies.pod_validation import validate_pod_template
from podling.controlplane.apiserver.strategies.pod_warnings import pod_spec_warnings
from podling.kube import meta
from podling.kube.errors import FieldError
from podling.kube.meta import Object

RECREATE, ROLLING_UPDATE = "Recreate", "RollingUpdate"

# Upstream says "deployment" for every kind that has such a selector.
_EMPTY_SELECTOR = "empty selector is invalid for deployment"
_NO_MATCH = "`selector` does not match template `labels`"
_STATUS_COUNTS = (
    "replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas",
    "fullyLabeledReplicas", "terminatingReplicas", "observedGeneration",
)  # fmt: skip


class _WorkloadStrategy(BaseStrategy):
    """Keeps a number of pods made from a template."""

    has_status = True
    has_generation = True

    def default(self, obj: Object) -> None:
        spec = section(obj, "spec")
        fill(spec, "replicas", 1)
        default_pod_template(section(spec, "template"))

    def validate(self, obj: Object) -> list[FieldError]:
        spec = obj.get("spec") or {}
        return [
            *super().validate(obj),
            *values_validation.not_negative(spec, "replicas", "spec"),
            *values_validation.not_negative(spec, "minReadySeconds", "spec"),
            *_validate_selector(spec),
            *_validate_template(spec, self.kind.kind),
        ]

    def validate_update(self, new: Object, old: Object) -> list[FieldError]:
        errors = super().validate_update(new, old)
        selector = (new.get("spec") or {}).get("selector")
        if selector != (old.get("spec") or {}).get("selector"):
            errors.append(FieldError.invalid("spec.selector", selector, IMMUTABLE))
        return errors

    def warnings(self, obj: Object) -> list[str]:
        template = (obj.get("spec") or {}).get("template") or {}
        return pod_spec_warnings(template.get("spec") or {}, "spec.template.spec")

    def validate_status(self, new: Object, old: Object) -> list[FieldError]:
        status = new.get("status") or {}
        errors = super().validate_status(new, old)
        for field in _STATUS_COUNTS:
            errors += values_validation.not_negative(status, field, "status")
        text = "cannot be greater than status.replicas"
        for field in ("readyReplicas", "availableReplicas", "updatedReplicas"):
            count = status.get(field) or 0
            if count > (status.get("replicas") or 0):
                errors.append(FieldError.invalid(f"status.{field}", count, text))
        return errors


class ReplicaSetStrategy(_WorkloadStrategy):
    def prepare_create(self, obj: Object, context: Any) -> None:
        super().prepare_create(obj, context)
        obj["status"] = {"replicas": 0}


class DeploymentStrategy(_WorkloadStrategy):
    def default(self, obj: Object) -> None:
        super().default(obj)
        spec = obj["spec"]
        strategy = section(spec, "strategy")
        fill_zero(strategy, "type", ROLLING_UPDATE)
        if strategy["type"] == ROLLING_UPDATE:
            rolling = section(strategy, "rollingUpdate")
            fill(rolling, "maxUnavailable", "25%")
            fill(rolling, "maxSurge", "25%")
        fill(spec, "revisionHistoryLimit", 10)
        fill(spec, "progressDeadlineSeconds", 600)

    def validate(self, obj: Object) -> list[FieldError]:
        spec = obj.get("spec") or {}
        errors = [*super().validate(obj), *_validate_strategy(spec.get("strategy") or {})]
        for field in ("revisionHistoryLimit", "progressDeadlineSeconds"):
            errors += values_validation.not_negative(spec, field, "spec")
        deadline = spec.get("progressDeadlineSeconds")
        if deadline is not None and deadline <= (spec.get("minReadySeconds") or 0):
            text = "must be greater than minReadySeconds"
            errors.append(FieldError.invalid("spec.progressDeadlineSeconds", deadline, text))
        return errors


def _validate_selector(spec: Object) -> list[FieldError]:
    path, selector = "spec.selector", spec.get("selector")
    if selector is None:
        return [FieldError.required(path)]
    errors = values_validation.label_selector(selector, path)
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        errors.append(FieldError.invalid(path, selector, _EMPTY_SELECTOR))
    if not errors:
        labels = dict(meta.labels(spec.get("template") or {}))
        if not values_validation.selects(selector, labels):
            where = "spec.template.metadata.labels"
            errors.append(FieldError.invalid(where, labels, _NO_MATCH))
    return errors


def _validate_template(spec: Object, kind: str) -> list[FieldError]:
    path, template = "spec.template", spec.get("template") or {}
    errors = validate_pod_template(template, path)
    pod = template.get("spec") or {}
    policy = pod.get("restartPolicy")
    if policy != "Always":
        where = f"{path}.spec.restartPolicy"
        errors.append(FieldError.not_supported(where, policy, ("Always",)))
    if pod.get("activeDeadlineSeconds") is not None:
        text = f"activeDeadlineSeconds in {kind} is not Supported"
        errors.append(FieldError.forbidden(f"{path}.spec.activeDeadlineSeconds", text))
    return errors


def _validate_strategy(strategy: Object) -> list[FieldError]:
    path, rolling = "spec.strategy.rollingUpdate", strategy.get("rollingUpdate")
    errors = values_validation.one_of(strategy, "type", (RECREATE, ROLLING_UPDATE), "spec.strategy")
    if strategy.get("type") == RECREATE and rolling is not None:
        text = "may not be specified when strategy `type` is 'Recreate'"
        errors.append(FieldError.forbidden(path, text))
    if strategy.get("type") == ROLLING_UPDATE:
        errors += _validate_rolling(rolling or {}, path)
    return errors


def _validate_rolling(rolling: Object, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for field in ("maxUnavailable", "maxSurge"):
        errors += values_validation.count_or_percent(rolling.get(field, 0), f"{path}.{field}")
    unavailable = rolling.get("maxUnavailable")
    if _is_nothing(unavailable) and _is_nothing(rolling.get("maxSurge")):
        text = "may not be 0 when `maxSurge` is 0"
        errors.append(FieldError.invalid(f"{path}.maxUnavailable", unavailable, text))
    if (values_validation.percent(unavailable) or 0) > 100:
        text = "must not be greater than 100%"
        errors.append(FieldError.invalid(f"{path}.maxUnavailable", unavailable, text))
    return errors


def _is_nothing(value: Any) -> bool:
    return value == 0 or values_validation.percent(value) == 0
