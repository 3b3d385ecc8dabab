"""Taints that say something about a node's health, and who tolerates them. Pure.

Source: the Kubernetes document "Taints and Tolerations", and the well-known taints.
"""

from collections.abc import Iterable, Sequence

from podling.kube import conditions, timestamps
from podling.kube.meta import Object

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
NO_SCHEDULE, NO_EXECUTE = "NoSchedule", "NoExecute"

#: Condition -> the taint it brings while it is True.
_PRESSURES = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
    "NetworkUnavailable": "node.kubernetes.io/network-unavailable",
}
_OURS = frozenset({NOT_READY, UNREACHABLE, UNSCHEDULABLE, *_PRESSURES.values()})


def ready_status(node: Object) -> str:
    """True, False or Unknown."""
    return conditions.status_of(node, "Ready")


def has_reported(node: Object) -> bool:
    """Whether the node's agent ever said how it is."""
    return conditions.of(node, "Ready") is not None


def wanted(node: Object, *, evict: bool, now: float) -> list[Object]:
    """The taints that a node should have: those of others, and ours by its conditions.

    `evict`: whether pods are to leave a node that is not ready.
    """
    old = list((node.get("spec") or {}).get("taints") or ())
    kept = [taint for taint in old if taint.get("key") not in _OURS]
    known = {(taint.get("key"), taint.get("effect")): taint for taint in old}
    for key, effect in _due(node, evict=evict):
        fresh: Object = {"key": key, "effect": effect}
        if effect == NO_EXECUTE:
            fresh["timeAdded"] = timestamps.format_time(now)
        kept.append(known.get((key, effect), fresh))
    return kept


def _due(node: Object, *, evict: bool) -> list[tuple[str, str]]:
    due = []
    listed = (node.get("status") or {}).get("conditions")
    ready = ready_status(node)
    if ready != "True":
        key = NOT_READY if ready == "False" or not has_reported(node) else UNREACHABLE
        due.append((key, NO_SCHEDULE))
        if evict and has_reported(node):
            due.append((key, NO_EXECUTE))
    if (node.get("spec") or {}).get("unschedulable"):
        due.append((UNSCHEDULABLE, NO_SCHEDULE))
    due += [
        (key, NO_SCHEDULE)
        for condition, key in _PRESSURES.items()
        if conditions.is_true(listed, condition)
    ]
    return due


def of_effect(node: Object, effect: str) -> list[Object]:
    listed = (node.get("spec") or {}).get("taints") or ()
    return [taint for taint in listed if taint.get("effect") == effect]


def tolerates(toleration: Object, taint: Object) -> bool:
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    if toleration.get("key") not in (None, "", taint.get("key")):
        return False
    if toleration.get("operator") == "Exists":
        return True
    return bool((toleration.get("value") or "") == (taint.get("value") or ""))


def eviction_time(
    tolerations: Iterable[Object], evicting: Sequence[Object], now: float
) -> float | None:
    """When a pod must leave a node with these NoExecute taints, in seconds since the Unix epoch.

    None: never. A toleration without seconds holds for ever, one with 0 or less not at all.
    """
    times = []
    accepted = list(tolerations)
    for taint in evicting:
        matching = [one for one in accepted if tolerates(one, taint)]
        if not matching:
            return now
        seconds = [one["tolerationSeconds"] for one in matching if "tolerationSeconds" in one]
        if seconds:
            added = taint.get("timeAdded")
            since = timestamps.parse_time(added) if added else now
            times.append(since + max(0, min(seconds)))
    return min(times, default=None)
