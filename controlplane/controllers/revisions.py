"""Revisions of a Deployment: which ReplicaSet is the template's, and what number it has. Pure.

Every template that a Deployment ever had (up to its history limit) is a ReplicaSet, and the number
in the annotation `deployment.kubernetes.io/revision` orders them. Rolling back means writing an old
template into the Deployment: its old ReplicaSet is found again and gets the next number.

    template A          r-a revision 1
    template B          r-a revision 1, r-b revision 2
    template A again    r-b revision 2, r-a revision 3 (revision-history "1")

`kubectl rollout history|undo` read these annotations.
Source: the Kubernetes document "Deployments: rolling back", pkg/controller/deployment/util.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import orjson

from podling.kube import generated_names, meta
from podling.kube.meta import Object

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"

MAX_HISTORY_CHARACTERS = 2000

#: Annotations of a Deployment that say nothing about one of its templates.
_NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        REVISION_HISTORY,
        DESIRED_REPLICAS,
        MAX_REPLICAS,
        "deprecated.deployment.rollback.to",
    }
)


def template_hash(template: Object, collisions: int) -> str:
    """What tells ReplicaSets of different templates apart, in their names and labels.

    `collisions` counts how often a name was taken by something else.
    """
    text = orjson.dumps(template, option=orjson.OPT_SORT_KEYS) + str(collisions).encode()
    number = int.from_bytes(hashlib.sha256(text).digest()[:4], "big")
    return generated_names.spelled(number)


def has_template(replica_set: Object, template: Object) -> bool:
    """Whether a ReplicaSet is of this template, but for the label that the hash adds."""
    return _without_hash(replica_set["spec"]["template"]) == _without_hash(template)


def _without_hash(template: Object) -> Object:
    metadata = dict(meta.metadata(template))
    labels = {name: value for name, value in meta.labels(template).items() if name != HASH_LABEL}
    metadata.pop("labels", None)
    metadata.pop("creationTimestamp", None)
    if labels:
        metadata["labels"] = labels
    return {**template, "metadata": metadata}


def find_new(deployment: Object, replica_sets: Iterable[Object]) -> Object | None:
    """The ReplicaSet of the current template: of several, the oldest."""
    template = deployment["spec"]["template"]
    matching = [one for one in replica_sets if has_template(one, template)]
    return min(matching, key=age_order, default=None)


def age_order(obj: Object) -> tuple[str, str]:
    """Sorts the oldest first."""
    return meta.metadata(obj).get("creationTimestamp") or "", meta.name(obj)


def revision_of(obj: Object) -> int:
    try:
        return int(meta.annotations(obj).get(REVISION, "0"))
    except ValueError:
        return 0


def next_revision(old: Sequence[Object]) -> int:
    """The number of the current template, given all the others."""
    return max(map(revision_of, old), default=0) + 1


def annotations_for(
    deployment: Object, current: Mapping[str, str], revision: int
) -> dict[str, str]:
    """The annotations of the current ReplicaSet: the Deployment's own, and its revision.

    A number that it had before is kept in the history.
    """
    wanted = dict(current)
    for name, value in meta.annotations(deployment).items():
        if name not in _NOT_COPIED:
            wanted[name] = value
    before = current.get(REVISION, "")
    if not before.isdigit():
        wanted[REVISION] = str(revision)
    elif int(before) < revision:
        wanted[REVISION] = str(revision)
        wanted[REVISION_HISTORY] = _append(current.get(REVISION_HISTORY, ""), before)
    return wanted


def _append(history: str, revision: str) -> str:
    entries = [entry for entry in history.split(",") if entry] + [revision]
    while len(",".join(entries)) > MAX_HISTORY_CHARACTERS:
        entries.pop(0)
    return ",".join(entries)


def sizes(desired: int, maximum: int) -> dict[str, str]:
    """The annotations that remember which size of the Deployment a ReplicaSet was scaled for."""
    return {DESIRED_REPLICAS: str(desired), MAX_REPLICAS: str(maximum)}


def desired_replicas(replica_set: Object) -> int | None:
    """What the Deployment wanted when the ReplicaSet was scaled last; None if unknown."""
    return _number(replica_set, DESIRED_REPLICAS)


def max_replicas(replica_set: Object) -> int | None:
    return _number(replica_set, MAX_REPLICAS)


def _number(replica_set: Object, annotation: str) -> int | None:
    text = meta.annotations(replica_set).get(annotation, "")
    return int(text) if text.isdigit() else None


def new_replica_set(
    deployment: Object, replicas: int, maximum: int, revision: int, collisions: int
) -> Object:
    """The ReplicaSet of a template that had none, as it is to be created."""
    spec = deployment["spec"]
    digest = template_hash(spec["template"], collisions)
    template = {**spec["template"], "metadata": dict(meta.metadata(spec["template"]))}
    template["metadata"]["labels"] = {**meta.labels(spec["template"]), HASH_LABEL: digest}
    selector = dict(spec["selector"])
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH_LABEL: digest}
    made: Object = {
        "replicas": replicas,
        "selector": selector,
        "template": template,
    }
    if wait := spec.get("minReadySeconds"):
        made["minReadySeconds"] = wait
    annotations = annotations_for(deployment, {}, revision)
    annotations |= sizes(spec.get("replicas", 1), maximum)
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{meta.name(deployment)}-{digest}",
            "namespace": meta.namespace(deployment),
            "labels": template["metadata"]["labels"],
            "annotations": annotations,
            "ownerReferences": [meta.controller_reference(deployment)],
        },
        "spec": made,
    }


def expired(deployment: Object, old: Sequence[Object]) -> list[Object]:
    """Old ReplicaSets beyond the history limit that are empty, the oldest revision first."""
    limit = deployment["spec"].get("revisionHistoryLimit")
    if limit is None:
        return []
    kept = [one for one in old if not meta.is_deleting(one)]
    surplus = sorted(kept, key=lambda one: (revision_of(one), age_order(one)))
    return [one for one in surplus[: max(0, len(kept) - limit)] if _is_empty(one)]


def _is_empty(replica_set: Object) -> bool:
    status = replica_set.get("status") or {}
    return (
        not replica_set["spec"].get("replicas")
        and not status.get("replicas")
        and status.get("observedGeneration", 0) >= meta.generation(replica_set)
    )
