"""Validation of resource requests and limits."""

from typing import Any

from podling.controlplane.apiserver.strategies.metadata_validation import NOT_NEGATIVE
from podling.kube import names, quantity
from podling.kube.errors import FieldError
from podling.kube.meta import Object

STANDARD_RESOURCES = frozenset({"cpu", "memory", "ephemeral-storage"})
_HUGE_PAGES = "hugepages-"


def validate_resources(resources: Object, path: str) -> list[FieldError]:
    """A ResourceRequirements: amounts are quantities, and nothing is requested above its limit."""
    errors: list[FieldError] = []
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for field, amounts in (("limits", limits), ("requests", requests)):
        for resource, amount in amounts.items():
            where = f"{path}.{field}[{resource}]"
            errors += _validate_resource_name(resource, f"{path}.{field}")
            errors += validate_quantity(amount, where)
    for resource, request in requests.items():
        limit = limits.get(resource)
        if limit is not None and _exceeds(request, limit):
            text = f"must be less than or equal to {resource} limit of {limit}"
            errors.append(FieldError.invalid(f"{path}.requests", str(request), text))
    return errors


def validate_quantity(amount: Any, path: str) -> list[FieldError]:
    """A quantity that is not negative."""
    try:
        parsed = quantity.parse(amount)
    except ValueError as error:
        return [FieldError.invalid(path, amount, str(error))]
    return [FieldError.invalid(path, str(amount), NOT_NEGATIVE)] if parsed.nanos < 0 else []


def _validate_resource_name(resource: str, path: str) -> list[FieldError]:
    if resource in STANDARD_RESOURCES or resource.startswith(_HUGE_PAGES):
        return []
    texts = names.qualified_name_errors(resource)
    if not texts and "/" not in resource:
        texts = ["must be a standard resource type or fully qualified"]
    return [FieldError.invalid(path, resource, text) for text in texts]


def _exceeds(request: Any, limit: Any) -> bool:
    try:
        return quantity.parse(request) > quantity.parse(limit)
    except ValueError:
        return False  # each is reported by itself
