"""The `/scale` of Deployment and ReplicaSet: an autoscaling/v1 Scale and back."""

from podling.kube import label_selectors, meta
from podling.kube.errors import FieldError
from podling.kube.meta import Object

NOT_NEGATIVE = "must be greater than or equal to 0"
_METADATA = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def scale_of(obj: Object) -> Object:
    """The Scale that shows an object with `spec.replicas`."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    metadata = meta.metadata(obj)
    shown: Object = {"replicas": status.get("replicas", 0)}
    if selector := spec.get("selector"):
        shown["selector"] = str(label_selectors.from_object(selector))
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {field: metadata[field] for field in _METADATA if metadata.get(field)},
        "spec": {"replicas": spec.get("replicas", 0)},
        "status": shown,
    }


def apply_scale(obj: Object, scale: Object) -> Object:
    """A copy of the object with the Scale's count, and its resourceVersion if it has one."""
    metadata = dict(meta.metadata(obj))
    if version := meta.resource_version(scale):
        metadata["resourceVersion"] = version
    replicas = (scale.get("spec") or {}).get("replicas") or 0
    return {**obj, "metadata": metadata, "spec": {**obj["spec"], "replicas": replicas}}


def validate_scale(scale: Object) -> list[FieldError]:
    """What is wrong with a Scale that a client sends."""
    replicas = (scale.get("spec") or {}).get("replicas") or 0
    if replicas < 0:
        return [FieldError.invalid("spec.replicas", replicas, NOT_NEGATIVE)]
    return []
