"""Which pods a ReplicaSet gives up first when there are too many. Pure.

In order of weight: not bound to a node; Pending before Unknown before Running; not ready; the
lowest `controller.kubernetes.io/pod-deletion-cost`; on a node with many pods of the same workload;
ready for the shortest time (by powers of ten, so that a second's difference decides nothing among
old pods); most restarts; youngest.
Source: the Kubernetes document "ReplicaSet: scaling down".
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from podling.controlplane.controllers import pod_state
from podling.kube import meta, timestamps
from podling.kube.meta import Object

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"

_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


def expendable(
    pods: Sequence[Object], related: Iterable[Object], count: int, now: float
) -> list[Object]:
    """The `count` pods to delete.

    `related` are the pods of the whole workload, those of other ReplicaSets of the same Deployment
    included: they decide what a crowded node is.
    """
    crowd = Counter(map(pod_state.node_name, filter(pod_state.is_active, related)))
    ranked = sorted(pods, key=lambda pod: _rank(pod, crowd, now))
    return ranked[:count]


def _rank(pod: Object, crowd: Counter[str], now: float) -> tuple[Any, ...]:
    node, since = pod_state.node_name(pod), pod_state.ready_since(pod)
    return (
        bool(node),
        _PHASES.get(pod_state.phase(pod), 2),
        since is not None,
        _cost(pod),
        -crowd[node],
        0.0 if since is None else _magnitude(now - since),
        -pod_state.restarts(pod),
        _magnitude(now - _created(pod)),
        meta.uid(pod),
    )


def _magnitude(seconds: float) -> int:
    return int(math.log10(seconds)) if seconds >= 1 else 0


def _created(pod: Object) -> float:
    text = meta.metadata(pod).get("creationTimestamp")
    return timestamps.parse_time(text) if text else 0.0


def _cost(pod: Object) -> int:
    try:
        return int(meta.annotations(pod).get(DELETION_COST, "0"))
    except ValueError:
        return 0
