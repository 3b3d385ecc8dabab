"""The ConfigMaps and Secrets that a pod needs before it can run. Pure.

    Reference("ConfigMap", "settings", optional=False)

An object named twice, once as optional, is not optional.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from podling.kube.meta import Object

CONFIG_MAP: Final = "ConfigMap"
SECRET: Final = "Secret"


@dataclass(frozen=True, slots=True)
class Reference:
    """One object in the pod's namespace."""

    kind: str
    name: str
    optional: bool = False


class MissingReferenceError(Exception):
    """Something that a pod refers to is not there; the text names it."""


@dataclass(frozen=True, slots=True)
class Sources:
    """The objects that were found, by (kind, name); absent ones are not in it."""

    objects: Mapping[tuple[str, str], Object] = field(default_factory=dict)

    def data(self, reference: Reference) -> dict[str, bytes] | None:
        """All entries, decoded; None if the object is absent and may be."""
        found = self.objects.get((reference.kind, reference.name))
        if found is None:
            if reference.optional:
                return None
            raise MissingReferenceError(f'{reference.kind.lower()} "{reference.name}" not found')
        return _entries(reference, found)


def of_environment(spec: Object) -> Iterator[Reference]:
    """What one container's environment refers to."""
    for entry in spec.get("envFrom") or []:
        yield from _reference(entry, "configMapRef", "secretRef")
    for entry in spec.get("env") or []:
        yield from _reference(entry.get("valueFrom") or {}, "configMapKeyRef", "secretKeyRef")


def of_volumes(pod: Object) -> Iterator[Reference]:
    """What the pod's volumes refer to."""
    for volume in pod["spec"].get("volumes") or []:
        yield from of_volume(volume)


def of_volume(volume: Object) -> Iterator[Reference]:
    yield from _reference(volume, "configMap", "secret")
    for source in (volume.get("projected") or {}).get("sources") or []:
        yield from _reference(source, "configMap", "secret")


def _reference(holder: Object, config_map: str, secret: str) -> Iterator[Reference]:
    if config_map in holder:
        source = holder[config_map]
        yield Reference(CONFIG_MAP, source.get("name", ""), bool(source.get("optional")))
    if secret in holder:
        source = holder[secret]
        name = source.get("secretName") or source.get("name", "")
        yield Reference(SECRET, name, bool(source.get("optional")))


def _entries(reference: Reference, found: Object) -> dict[str, bytes]:
    encoded: dict[str, str] = dict(found.get("binaryData") or {})
    plain: dict[str, str] = {}
    if reference.kind == SECRET:
        encoded = found.get("data") or {}
    else:
        plain = found.get("data") or {}
    try:
        entries = {key: base64.b64decode(value) for key, value in encoded.items()}
    except binascii.Error as error:
        raise MissingReferenceError(
            f'{reference.kind.lower()} "{reference.name}" holds data that is not base64: {error}'
        ) from None
    entries.update((key, value.encode()) for key, value in plain.items())
    return entries
