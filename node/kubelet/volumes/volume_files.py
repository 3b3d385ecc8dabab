"""The files of a volume that is made from objects: configMap, secret, downwardAPI, projected. Pure.

configMap settings {a: "1", b: "2"}, items [{key: a, path: conf/a}]   ->  conf/a with "1"
"""

from collections.abc import Iterator
from dataclasses import dataclass

from podling.kube import meta
from podling.kube.meta import Object
from podling.node.kubelet.containers import downward
from podling.node.kubelet.containers.downward import PodFacts
from podling.node.kubelet.containers.references import (
    CONFIG_MAP,
    SECRET,
    MissingReferenceError,
    Reference,
    Sources,
)

DEFAULT_MODE = 0o644


@dataclass(frozen=True, slots=True)
class VolumeFile:
    """One file: its path inside the volume, what is in it, and its permission bits."""

    path: str
    content: bytes
    mode: int


def has_files(volume: Object) -> bool:
    """Whether the volume is one whose files are made from objects."""
    return any(kind in volume for kind in ("configMap", "secret", "downwardAPI", "projected"))


def files(pod: Object, volume: Object, sources: Sources, facts: PodFacts) -> list[VolumeFile]:
    """What has to be in `volume`; MissingReferenceError names what is missing."""
    if "projected" in volume:
        projected = volume["projected"]
        mode = projected.get("defaultMode") or DEFAULT_MODE
        parts = [
            file
            for source in projected.get("sources") or []
            for file in _of_source(pod, source, mode, sources, facts)
        ]
    else:
        holder = next(
            volume[kind] for kind in ("configMap", "secret", "downwardAPI") if kind in volume
        )
        mode = holder.get("defaultMode") or DEFAULT_MODE
        parts = list(_of_source(pod, volume, mode, sources, facts))
    # Where two sources give the same path the later one wins, as in upstream.
    return list({file.path: _checked(volume, file) for file in parts}.values())


def _of_source(
    pod: Object, source: Object, mode: int, sources: Sources, facts: PodFacts
) -> Iterator[VolumeFile]:
    if "configMap" in source:
        holder = source["configMap"]
        reference = Reference(CONFIG_MAP, holder.get("name", ""), bool(holder.get("optional")))
        yield from _of_entries(pod, holder, reference, mode, sources)
    elif "secret" in source:
        holder = source["secret"]
        name = holder.get("secretName") or holder.get("name", "")
        reference = Reference(SECRET, name, bool(holder.get("optional")))
        yield from _of_entries(pod, holder, reference, mode, sources)
    elif "downwardAPI" in source:
        for item in source["downwardAPI"].get("items") or []:
            text = _downward_text(pod, item, facts)
            yield VolumeFile(item["path"], text.encode(), item.get("mode") or mode)
    else:
        kind = next(iter(source), "nothing")
        raise MissingReferenceError(f"projected source {kind} is not supported by this node")


def _of_entries(
    pod: Object, holder: Object, reference: Reference, mode: int, sources: Sources
) -> Iterator[VolumeFile]:
    data = sources.data(reference) or {}
    items = holder.get("items")
    if not items:
        for key, value in data.items():
            yield VolumeFile(key, value, mode)
        return
    for item in items:
        if item["key"] in data:
            yield VolumeFile(item["path"], data[item["key"]], item.get("mode") or mode)
        elif not reference.optional:
            where = f"{meta.namespace(pod)}/{reference.name}"
            raise MissingReferenceError(
                f"{reference.kind} {where} has no key {item['key']}, which a volume asks for"
            )


def _downward_text(pod: Object, item: Object, facts: PodFacts) -> str:
    try:
        if "fieldRef" in item:
            return downward.field_value(pod, item["fieldRef"]["fieldPath"], facts)
        return downward.resource_value(pod, item["resourceFieldRef"], "", facts)
    except ValueError as error:
        raise MissingReferenceError(f"downwardAPI item {item['path']}: {error}") from None


def _checked(volume: Object, file: VolumeFile) -> VolumeFile:
    parts = file.path.split("/")
    if file.path.startswith("/") or ".." in parts or parts[0].startswith(".."):
        raise MissingReferenceError(
            f'volume "{volume["name"]}": path "{file.path}" would leave the volume'
        )
    return file
