"""What this server serves, told to clients: legacy discovery and the aggregated form. Pure.

    /api /apis /apis/GROUP /api/VERSION /apis/GROUP/VERSION     legacy documents
    /api /apis   asked for as APIGroupDiscoveryList             everything in two requests

kubectl reads the aggregated form, most Python clients the legacy one; both are made from the
records of the kinds. Source: the Kubernetes document "API concepts: discovery", and the types
apidiscovery.k8s.io/v2 and meta/v1 APIResourceList.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import orjson

from podling.controlplane.apiserver.request import negotiation
from podling.controlplane.apiserver.request.negotiation import Accepted, Shape
from podling.kube.kinds import Kind, Subresource
from podling.kube.meta import Object

AGGREGATED_API_VERSION = f"{negotiation.DISCOVERY_GROUP}/v2"


@dataclass(frozen=True, slots=True)
class Document:
    """A response that stays the same until the set of kinds changes."""

    content_type: str
    body: bytes
    etag: str
    """With its quotes."""


class Discovery:
    """The documents about a set of kinds, each made when it is first asked for."""

    def __init__(self, kinds: Iterable[Kind]) -> None:
        self._kinds = tuple(kinds)
        self._documents: dict[tuple[str, str], Document] = {}

    def answer(self, path: str, accept: str) -> Document | None:
        """The document at `path` (without trailing slash), or None if it is no discovery path.

        `accept` is the request's header. Raises errors.NotAcceptable.
        """
        parts = path.strip("/").split("/")
        aggregated = path in ("/api", "/apis")
        make = self._legacy(parts)
        if make is None:
            return None
        shapes = negotiation.DISCOVERY_SHAPES if aggregated else negotiation.ONLY_PLAIN
        accepted = negotiation.negotiate(accept, shapes)
        if accepted.shape is Shape.DISCOVERY:
            return self._document(path, accepted, lambda: self._aggregated(path))
        return self._document(path, accepted, make)

    def _document(self, path: str, accepted: Accepted, make: Callable[[], Object]) -> Document:
        key = path, accepted.content_type
        if key not in self._documents:
            body = orjson.dumps(make())
            etag = hashlib.sha256(body).hexdigest()
            self._documents[key] = Document(accepted.content_type, body, f'"{etag}"')
        return self._documents[key]

    def _legacy(self, parts: Sequence[str]) -> Callable[[], Object] | None:
        match parts:
            case ["api"]:
                return self._core_versions
            case ["apis"]:
                return self._group_list
            case ["api", version] if self._of("", version):
                return lambda: _resource_list(self._of("", version))
            case ["apis", group] if group in self._groups():
                return lambda: self._group(group, with_type=True)
            case ["apis", group, version] if group and self._of(group, version):
                return lambda: _resource_list(self._of(group, version))
        return None

    def _groups(self) -> list[str]:
        """Names of the groups but the legacy one, in the order in which clients try them."""
        return list(dict.fromkeys(kind.group for kind in self._kinds if kind.group))

    def _versions(self, group: str) -> list[str]:
        return list(dict.fromkeys(kind.version for kind in self._kinds if kind.group == group))

    def _of(self, group: str, version: str) -> list[Kind]:
        return [kind for kind in self._kinds if (kind.group, kind.version) == (group, version)]

    def _core_versions(self) -> Object:
        # Without addresses clients stay with the server that they asked, which is what they should.
        return {
            "kind": "APIVersions",
            "versions": self._versions(""),
            "serverAddressByClientCIDRs": [],
        }

    def _group_list(self) -> Object:
        groups = [self._group(group) for group in self._groups()]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}

    def _group(self, group: str, *, with_type: bool = False) -> Object:
        versions = [
            {"groupVersion": f"{group}/{version}", "version": version}
            for version in self._versions(group)
        ]
        typed = {"kind": "APIGroup", "apiVersion": "v1"} if with_type else {}
        return {**typed, "name": group, "versions": versions, "preferredVersion": versions[0]}

    def _aggregated(self, path: str) -> Object:
        groups = [""] if path == "/api" else self._groups()
        return {
            "kind": Shape.DISCOVERY.value,
            "apiVersion": AGGREGATED_API_VERSION,
            "metadata": {},
            "items": [self._aggregated_group(group) for group in groups],
        }

    def _aggregated_group(self, group: str) -> Object:
        return {
            "metadata": {"name": group} if group else {},
            "versions": [
                {
                    "version": version,
                    "resources": [_aggregated_kind(kind) for kind in self._of(group, version)],
                    "freshness": "Current",
                }
                for version in self._versions(group)
            ],
        }


def _resource_list(kinds: Sequence[Kind]) -> Object:
    resources = []
    for kind in kinds:
        resources.append(_resource(kind))
        resources += [_subresource(kind, part) for part in kind.served_subresources]
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": kinds[0].api_version,
        "resources": sorted(resources, key=lambda resource: resource["name"]),
    }


def _names(kind: Kind) -> Object:
    """Short names and categories, left out where there are none."""
    lists = {"shortNames": kind.short_names, "categories": kind.categories}
    return {field: list(names) for field, names in lists.items() if names}


def _resource(kind: Kind) -> Object:
    return {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(kind.verbs),
        **_names(kind),
    }


def _subresource(kind: Kind, part: Subresource) -> Object:
    resource: Object = {
        "name": f"{kind.plural}/{part.name}",
        "singularName": "",
        "namespaced": kind.namespaced,
        "kind": part.kind,
        "verbs": list(part.verbs),
    }
    if part.api_version != kind.api_version:
        resource |= {"group": part.group, "version": part.version}
    return resource


def _aggregated_kind(kind: Kind) -> Object:
    shown: Object = {
        "resource": kind.plural,
        "responseKind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(kind.verbs),
        **_names(kind),
    }
    if kind.served_subresources:
        shown["subresources"] = [
            {
                "subresource": part.name,
                "responseKind": {"group": part.group, "version": part.version, "kind": part.kind},
                "verbs": list(part.verbs),
            }
            for part in kind.served_subresources
        ]
    return shown
