"""OpenAPI v3: an index of group versions, and a document for each; v2: one without types. Pure.

    /openapi/v3                       {"paths": {"api/v1": {"serverRelativeURL": ...?hash=...}}}
    /openapi/v3/api/v1                the legacy group
    /openapi/v3/apis/GROUP/VERSION    every other one

Clients cache a document by its address, so the hash changes with the content. What kubectl reads:
whether PATCH takes `fieldValidation` (then it leaves validation to the server) and strategic merge
patches, and the merge keys in the schemas.
Source: the Kubernetes document "The Kubernetes API: OpenAPI interface definition".
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator

import orjson

from podling.controlplane.apiserver.documents.discovery import Document
from podling.controlplane.apiserver.request.negotiation import JSON, PatchType
from podling.kube import schema
from podling.kube.kinds import Kind, Subresource
from podling.kube.meta import Object

ROOT = "/openapi/v3"
ROOT_V2 = "/openapi/v2"
V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
V2_BODY = b"\x0a\x032.0\x12\x15\x0a\x0aKubernetes\x12\x07v1.37.0"
"""gnostic's openapi.v2.Document {swagger, info{title, version}}: no types. kubectl asks for it, in
this form only, when it finds a kind nowhere in v3; without an answer it would complain of that,
rather than of the kind."""

_META = "io.k8s.apimachinery.pkg.apis.meta.v1"
_STATUS, _DELETE_OPTIONS, _PATCH = f"{_META}.Status", f"{_META}.DeleteOptions", f"{_META}.Patch"

_PATCH_TYPES = (PatchType.JSON_PATCH, PatchType.MERGE, PatchType.STRATEGIC_MERGE)

_READ_PARAMETERS = {
    "allowWatchBookmarks": "boolean",
    "continue": "string",
    "fieldSelector": "string",
    "labelSelector": "string",
    "limit": "integer",
    "resourceVersion": "string",
    "resourceVersionMatch": "string",
    "sendInitialEvents": "boolean",
    "timeoutSeconds": "integer",
    "watch": "boolean",
}
_WRITE_PARAMETERS = {"dryRun": "string", "fieldManager": "string", "fieldValidation": "string"}
_DELETE_PARAMETERS = {
    "dryRun": "string",
    "gracePeriodSeconds": "integer",
    "orphanDependents": "boolean",
    "propagationPolicy": "string",
}

#: verb -> (HTTP method, x-kubernetes-action, query parameters)
_COLLECTION_OPERATIONS = {
    "list": ("get", "list", _READ_PARAMETERS),
    "create": ("post", "post", _WRITE_PARAMETERS),
    "deletecollection": (
        "delete",
        "deletecollection",
        {**_READ_PARAMETERS, **_DELETE_PARAMETERS},
    ),
}
_OBJECT_OPERATIONS = {
    "get": ("get", "get", {}),
    "create": ("post", "post", _WRITE_PARAMETERS),
    "update": ("put", "put", _WRITE_PARAMETERS),
    "patch": ("patch", "patch", {**_WRITE_PARAMETERS, "force": "boolean"}),
    "delete": ("delete", "delete", _DELETE_PARAMETERS),
}


class OpenApi:
    """The documents about a set of kinds, each made when it is first asked for."""

    def __init__(self, kinds: Iterable[Kind], version: str) -> None:
        """`version` is the API version that is announced, such as `v1.37.0`."""
        self._version = version
        self._groups: dict[str, list[Kind]] = {}
        for kind in kinds:
            self._groups.setdefault(_group_path(kind), []).append(kind)
        self._documents: dict[str, Document] = {}

    def answer(self, path: str) -> Document | None:
        """The document at a path without its query, or None if there is none."""
        if path == ROOT_V2:
            return Document(V2_PROTOBUF, V2_BODY, f'"{hashlib.sha512(V2_BODY).hexdigest()}"')
        if path == ROOT:
            return self._cached("", self._index)
        group = path.removeprefix(ROOT + "/")
        if group == path or group not in self._groups:
            return None
        return self._group_document(group)

    def _group_document(self, group: str) -> Document:
        return self._cached(group, lambda: self._describe(self._groups[group]))

    def _cached(self, key: str, make: Callable[[], Object]) -> Document:
        if key not in self._documents:
            body = orjson.dumps(make())
            digest = hashlib.sha512(body).hexdigest().upper()
            self._documents[key] = Document(JSON, body, f'"{digest}"')
        return self._documents[key]

    def _index(self) -> Object:
        paths = {}
        for group in self._groups:
            digest = self._group_document(group).etag.strip('"')
            paths[group] = {"serverRelativeURL": f"{ROOT}/{group}?hash={digest}"}
        return {"paths": paths}

    def _describe(self, kinds: list[Kind]) -> Object:
        paths: Object = {}
        types = {_STATUS, _DELETE_OPTIONS, _PATCH}
        for kind in kinds:
            types |= {schema.type_of(kind), _list_type(kind)}
            paths |= _paths(kind)
            for part in kind.served_subresources:
                if (type_name := schema.type_named(part.api_version, part.kind)) is not None:
                    types.add(type_name)
                    paths |= _subresource_path(kind, part, type_name)
        return {
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes", "version": self._version},
            "paths": paths,
            "components": {"schemas": schema.openapi_components(sorted(types))},
        }


def _group_path(kind: Kind) -> str:
    return f"apis/{kind.api_version}" if kind.group else f"api/{kind.version}"


def _list_type(kind: Kind) -> str:
    return schema.type_named(kind.api_version, kind.list_kind) or schema.type_of(kind)


def _paths(kind: Kind) -> Object:
    """The paths of a kind's collections and objects."""
    type_name, list_type = schema.type_of(kind), _list_type(kind)
    namespace = "{namespace}" if kind.namespaced else ""
    collection = dict(_operations(kind, _COLLECTION_OPERATIONS, type_name, list_type))
    single = dict(_operations(kind, _OBJECT_OPERATIONS, type_name, list_type, but="create"))
    paths = {
        _path(kind, namespace): _with_parameters(collection, kind, named=False),
        _path(kind, namespace, "{name}"): _with_parameters(single, kind, named=True),
    }
    if kind.namespaced:
        paths[_path(kind, "")] = {"get": collection["get"]}
    return paths


def _path(kind: Kind, namespace: str, name: str = "", subresource: str = "") -> str:
    """A path with its placeholders unencoded."""
    base = kind.path(namespace and "NAMESPACE", name and "NAME", subresource)
    return base.replace("/NAMESPACE/", f"/{namespace}/").replace("/NAME", f"/{name}")


def _operations(
    kind: Kind,
    table: dict[str, tuple[str, str, dict[str, str]]],
    type_name: str,
    list_type: str,
    but: str = "",
) -> Iterator[tuple[str, Object]]:
    gvk = {"group": kind.group, "version": kind.version, "kind": kind.kind}
    for verb, (method, action, parameters) in table.items():
        if verb in kind.verbs and verb != but:
            answer = {"list": list_type, "deletecollection": _STATUS}.get(verb, type_name)
            yield method, _operation(action, gvk, parameters, type_name, answer)


def _subresource_path(kind: Kind, part: Subresource, type_name: str) -> Object:
    gvk = {"group": part.group, "version": part.version, "kind": part.kind}
    operations = {}
    for verb, (method, action, parameters) in _OBJECT_OPERATIONS.items():
        if verb in part.verbs:
            operations[method] = _operation(action, gvk, parameters, type_name, type_name)
    namespace = "{namespace}" if kind.namespaced else ""
    path = _path(kind, namespace, "{name}", part.name)
    return {path: _with_parameters(operations, kind, named=True)}


def _operation(
    action: str, gvk: Object, parameters: dict[str, str], body: str, answer: str
) -> Object:
    operation: Object = {
        "parameters": [_query(name, type_) for name, type_ in parameters.items()],
        "responses": {"200": {"description": "OK", "content": {JSON: _reference(answer)}}},
        "x-kubernetes-action": action,
        # A single object here; in the schemas it is a list.
        "x-kubernetes-group-version-kind": gvk,
    }
    if action == "patch":
        content = {patch.value: _reference(_PATCH) for patch in _PATCH_TYPES}
        operation["requestBody"] = {"required": True, "content": content}
    elif action in ("post", "put"):
        operation["requestBody"] = {"required": True, "content": {JSON: _reference(body)}}
    elif action in ("delete", "deletecollection"):
        operation["requestBody"] = {"content": {JSON: _reference(_DELETE_OPTIONS)}}
    return operation


def _with_parameters(operations: Object, kind: Kind, *, named: bool) -> Object:
    """A path item: its operations, and the parameters that stand in the path."""
    names = [*(["namespace"] if kind.namespaced else []), *(["name"] if named else [])]
    placed = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in names
    ]
    return {**operations, "parameters": placed} if placed else operations


def _query(name: str, type_: str) -> Object:
    return {"name": name, "in": "query", "schema": {"type": type_, "uniqueItems": True}}


def _reference(type_name: str) -> Object:
    return {"schema": {"$ref": f"#/components/schemas/{type_name}"}}
