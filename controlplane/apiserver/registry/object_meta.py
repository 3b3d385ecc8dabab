"""The metadata that the server owns: set at creation, kept through every change. Pure.

Source: the Kubernetes documents "Objects: names and IDs" and the API conventions, section
"Metadata"; the texts are those of k8s.io/apiserver's registry/rest.
"""

from typing import Any

from podling.kube import errors, meta, timestamps
from podling.kube.errors import FieldError
from podling.kube.kinds import Kind
from podling.kube.meta import Object

_SERVER_OWNED = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "selfLink",
    "resourceVersion",
    "managedFields",
)
_KEPT = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
)


def check_identity(kind: Kind, obj: Object, namespace: str, name: str = "") -> None:
    """Kind, namespace and name in the body agree with the URL; what the body leaves out is set.

    Without a `name` in the URL the body's stands. Raises errors.BadRequest or errors.Invalid.
    """
    api_version, kind_name = obj.get("apiVersion"), obj.get("kind")
    if (api_version or kind.api_version, kind_name or kind.kind) != (kind.api_version, kind.kind):
        raise errors.BadRequest(
            f"the API version and kind in the data ({api_version}, {kind_name}) do not match the "
            f"expected ones ({kind.api_version}, {kind.kind})"
        )
    obj["apiVersion"], obj["kind"] = kind.api_version, kind.kind
    metadata = _metadata(obj)
    given = metadata.get("namespace") or ""
    if not kind.namespaced:
        if given:
            raise errors.Invalid(
                kind=kind,
                name=meta.name(obj),
                errors=[FieldError.forbidden("metadata.namespace", "not allowed on this type")],
            )
        metadata.pop("namespace", None)
    elif given and given != namespace:
        raise errors.BadRequest(
            f"the namespace of the provided object does not match the namespace sent on the "
            f"request ({given} and {namespace})"
        )
    else:
        metadata["namespace"] = namespace
    if name:
        _check_name(metadata, name)


def begin(obj: Object, *, uid: str, now: float) -> None:
    """Make a body into a new object: what the server owns is the server's."""
    metadata = obj["metadata"]
    if str(metadata.get("resourceVersion") or "0") != "0":
        raise errors.BadRequest("resourceVersion should not be set on objects to be created")
    for field in _SERVER_OWNED:
        metadata.pop(field, None)
    metadata["uid"] = uid
    metadata["creationTimestamp"] = timestamps.format_time(now)


def carry(new: Object, old: Object) -> None:
    """Put the server's metadata of `old` into `new`, whatever `new` says about it."""
    metadata = new["metadata"]
    for field in _SERVER_OWNED:
        metadata.pop(field, None)
    for field in _KEPT:
        if field in old["metadata"]:
            metadata[field] = old["metadata"][field]
    metadata["resourceVersion"] = old["metadata"]["resourceVersion"]


def check_uid(kind: Kind, new: Object, old: Object) -> None:
    """A body that carries a uid is about that object only. Raises errors.Conflict."""
    uid = meta.uid(new)
    if uid and uid != meta.uid(old):
        raise errors.Conflict(
            kind=kind,
            name=meta.name(old),
            message=(
                f"Precondition failed: UID in precondition: {uid}, "
                f"UID in object meta: {meta.uid(old)}"
            ),
        )


def finalizer_errors(new: Object, old: Object) -> list[FieldError]:
    """An object that is being deleted takes no new finalizers."""
    if not meta.is_deleting(old):
        return []
    added = sorted(set(meta.finalizers(new)) - set(meta.finalizers(old)))
    if not added:
        return []
    listed = ", ".join(f'"{name}"' for name in added)
    return [
        FieldError.forbidden(
            "metadata.finalizers",
            "no new finalizers can be added if the object is being deleted, "
            f"found new finalizers []string{{{listed}}}",
        )
    ]


def require_name(kind: Kind, obj: Object) -> None:
    """Raises errors.Invalid if an object to be created has neither name nor generateName."""
    if not meta.name(obj) and not obj["metadata"].get("generateName"):
        raise errors.Invalid(
            kind=kind,
            name="",
            errors=[FieldError.required("metadata.name", "name or generateName is required")],
        )


def _check_name(metadata: dict[str, Any], name: str) -> None:
    given = metadata.get("name")
    if not given:
        metadata["name"] = name
    elif given != name:
        raise errors.BadRequest(
            f"the name of the object ({given}) does not match the name on the URL ({name})"
        )


def _metadata(obj: Object) -> dict[str, Any]:
    metadata = obj.get("metadata")
    if metadata is None:
        metadata = obj["metadata"] = {}
    if not isinstance(metadata, dict):
        raise errors.BadRequest("metadata must be an object")
    for field in ("name", "generateName", "namespace", "uid", "resourceVersion"):
        if not isinstance(metadata.get(field) or "", str):
            raise errors.BadRequest(f"metadata.{field} must be a string")
    return metadata
