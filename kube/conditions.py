"""Status conditions: find one, set one.

`lastTransitionTime` is when `status` last changed, not when the condition was last written; setting
what is already so changes nothing, so that a controller's no-op stays a no-op.
Source: the Kubernetes API conventions, "Typical status properties".
"""

from collections.abc import Iterable, Mapping
from typing import Any

from podling.kube import timestamps
from podling.kube.meta import Object

TRUE = "True"
FALSE = "False"
UNKNOWN = "Unknown"


def find(conditions: Iterable[Mapping[str, Any]] | None, type: str) -> Mapping[str, Any] | None:  # noqa: A002
    """The condition of that type; there is at most one."""
    return next((one for one in conditions or () if one.get("type") == type), None)


def is_true(conditions: Iterable[Mapping[str, Any]] | None, type: str) -> bool:  # noqa: A002
    condition = find(conditions, type)
    return condition is not None and condition.get("status") == TRUE


def of(obj: Mapping[str, Any], type: str) -> Mapping[str, Any] | None:  # noqa: A002
    """The condition of that type in an object's status."""
    return find((obj.get("status") or {}).get("conditions"), type)


def status_of(obj: Mapping[str, Any], type: str) -> str:  # noqa: A002
    """True, False or Unknown; Unknown as well where the object says nothing of it."""
    condition = of(obj, type)
    return UNKNOWN if condition is None else str(condition.get("status"))


def set_condition(
    conditions: Iterable[Object] | None,
    type: str,  # noqa: A002
    status: str,
    reason: str = "",
    message: str = "",
    now: float = 0.0,
    extra: Mapping[str, Any] | None = None,
) -> list[Object]:
    """A new list in which the condition of that type says so; the others keep their places.

    `now` is in seconds since 1970. `extra` holds what some kinds add, such as `lastUpdateTime` or
    `observedGeneration`. Empty `reason` and `message` are left out.
    """
    result = list(conditions or ())
    place = next((i for i, one in enumerate(result) if one.get("type") == type), len(result))
    old = result[place] if place < len(result) else {}
    since = old.get("lastTransitionTime") if old.get("status") == status else None
    new: Object = {**old, **(extra or {}), "type": type, "status": status}
    new["lastTransitionTime"] = since or timestamps.format_time(now)
    for name, text in (("reason", reason), ("message", message)):
        if text:
            new[name] = text
        else:
            new.pop(name, None)
    result[place:] = [new, *result[place + 1 :]]
    return result
