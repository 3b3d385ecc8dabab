"""What controllers ask about a pod. Pure."""

from podling.kube import conditions, meta, timestamps
from podling.kube.meta import Object

FINISHED = frozenset({"Succeeded", "Failed"})


def phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase") or "")


def node_name(pod: Object) -> str:
    return str((pod.get("spec") or {}).get("nodeName") or "")


def is_finished(pod: Object) -> bool:
    """It ran to its end and will not run again."""
    return phase(pod) in FINISHED


def is_active(pod: Object) -> bool:
    """It counts as one of those that there should be."""
    return not is_finished(pod) and not meta.is_deleting(pod)


def ready_since(pod: Object) -> float | None:
    """When the pod became ready, in seconds since the Unix epoch; None if it is not."""
    condition = conditions.of(pod, "Ready")
    if condition is None or condition.get("status") != "True":
        return None
    since = condition.get("lastTransitionTime")
    return timestamps.parse_time(since) if since else 0.0


def is_ready(pod: Object) -> bool:
    return ready_since(pod) is not None


def available_in(pod: Object, min_ready_seconds: int, now: float) -> float | None:
    """Seconds until a ready pod counts as available, 0 if it does; None if it is not ready."""
    since = ready_since(pod)
    if since is None:
        return None
    if not min_ready_seconds:
        return 0.0
    return max(0.0, since + min_ready_seconds - now)


def restarts(pod: Object) -> int:
    """The most restarts of any of its containers."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return max((status.get("restartCount", 0) for status in statuses), default=0)
