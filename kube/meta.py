"""Reading the metadata of an object. Nothing here changes one.

Every function takes the decoded object and tolerates what may be absent; `Object` is the type the
whole project uses for a decoded Kubernetes object.
"""

from collections.abc import Mapping
from typing import Any

Object = dict[str, Any]
"""A decoded Kubernetes object. It lives for one request or one decision."""

_NOTHING: Mapping[str, Any] = {}


def metadata(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    """The metadata, empty where there is none. Not to be written to."""
    return obj.get("metadata") or _NOTHING


def name(obj: Mapping[str, Any]) -> str:
    return str(metadata(obj).get("name") or "")


def namespace(obj: Mapping[str, Any]) -> str:
    return str(metadata(obj).get("namespace") or "")


def uid(obj: Mapping[str, Any]) -> str:
    return str(metadata(obj).get("uid") or "")


def resource_version(obj: Mapping[str, Any]) -> str:
    return str(metadata(obj).get("resourceVersion") or "")


def generation(obj: Mapping[str, Any]) -> int:
    return int(metadata(obj).get("generation") or 0)


def labels(obj: Mapping[str, Any]) -> Mapping[str, str]:
    return metadata(obj).get("labels") or _NOTHING


def annotations(obj: Mapping[str, Any]) -> Mapping[str, str]:
    return metadata(obj).get("annotations") or _NOTHING


def finalizers(obj: Mapping[str, Any]) -> list[str]:
    return list(metadata(obj).get("finalizers") or ())


def owner_references(obj: Mapping[str, Any]) -> list[Object]:
    return list(metadata(obj).get("ownerReferences") or ())


def controller_of(obj: Mapping[str, Any]) -> Object | None:
    """The owner reference marked as controller; an object has at most one."""
    return next((owner for owner in owner_references(obj) if owner.get("controller")), None)


def is_controlled_by(obj: Mapping[str, Any], owner: Mapping[str, Any]) -> bool:
    """By uid: an owner deleted and made again under its old name is another one."""
    controller = controller_of(obj)
    return controller is not None and bool(uid(owner)) and controller.get("uid") == uid(owner)


def controller_reference(owner: Mapping[str, Any]) -> Object:
    """The owner reference that makes `owner` the controller of what it creates."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": name(owner),
        "uid": uid(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def is_deleting(obj: Mapping[str, Any]) -> bool:
    """Deletion was asked for; the object lives on until its finalizers or its grace are done."""
    return bool(metadata(obj).get("deletionTimestamp"))


def key(obj: Mapping[str, Any]) -> str:
    """`namespace/name`, or `name` of an object without namespace. Unique within a kind."""
    space = namespace(obj)
    return f"{space}/{name(obj)}" if space else name(obj)


def join_key(space: str, object_name: str) -> str:
    return f"{space}/{object_name}" if space else object_name


def split_key(text: str) -> tuple[str, str]:
    """(namespace, name); the namespace is empty where the key has none."""
    space, _, rest = text.rpartition("/")
    return space, rest


def newer(one: Object, other: Object) -> Object:
    """The later of two states of one object; the second if they are the same."""
    return one if _revision(one) > _revision(other) else other


def _revision(obj: Object) -> int:
    text = resource_version(obj)
    return int(text) if text.isdecimal() else 0
