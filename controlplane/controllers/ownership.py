"""Which of the objects around are an owner's: claimed by label selector and controller reference.

    controlled by the owner, and selected              mine
    controlled by the owner, no longer selected        released (its reference is removed)
    controlled by nobody, and selected                 adopted (a reference is added)
    controlled by somebody else                        left alone

An owner that is being deleted adopts nothing; an object that is being deleted is neither adopted
nor released. Pure. Source: kube-controller-manager's ControllerRefManager.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from podling.kube import meta
from podling.kube.label_selectors import LabelSelector
from podling.kube.meta import Object


@dataclass(slots=True)
class Claims:
    """What an owner makes of the objects in its namespace."""

    mine: list[Object] = field(default_factory=list)
    adopt: list[Object] = field(default_factory=list)
    release: list[Object] = field(default_factory=list)


def claim(owner: Object, selector: LabelSelector, objects: Iterable[Object]) -> Claims:
    claims = Claims()
    for obj in objects:
        controller = meta.controller_of(obj)
        selected = selector.matches(meta.labels(obj))
        if controller is not None:
            if controller.get("uid") != meta.uid(owner):
                continue
            if selected:
                claims.mine.append(obj)
            elif not meta.is_deleting(obj) and not meta.is_deleting(owner):
                claims.release.append(obj)
        elif selected and not meta.is_deleting(obj) and not meta.is_deleting(owner):
            claims.adopt.append(obj)
    return claims


def adoption_patch(obj: Object, owner: Object) -> Object:
    """A merge patch that makes `owner` the controller of `obj`.

    The uid and the resourceVersion make it fail if the object is not what was seen.
    """
    owners = [*meta.owner_references(obj), meta.controller_reference(owner)]
    return _patch(obj, owners)


def release_patch(obj: Object, owner: Object) -> Object:
    """A merge patch that takes the reference to `owner` away."""
    owners = [
        reference
        for reference in meta.owner_references(obj)
        if reference.get("uid") != meta.uid(owner)
    ]
    return _patch(obj, owners)


def _patch(obj: Object, owners: list[Object]) -> Object:
    return {
        "metadata": {
            "uid": meta.uid(obj),
            "resourceVersion": meta.resource_version(obj),
            "ownerReferences": owners or None,
        }
    }
