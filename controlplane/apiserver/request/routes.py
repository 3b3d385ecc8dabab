"""The URL grammar of the Kubernetes API: a request line becomes a `Route`. Pure.

    /api/VERSION/...              the legacy group, whose name is ""
    /apis/GROUP/VERSION/...       every other group

    .../RESOURCE                                  all namespaces, or a cluster-scoped collection
    .../RESOURCE/NAME[/SUBRESOURCE[/TAIL]]        cluster-scoped object
    .../namespaces/NAMESPACE/RESOURCE[/NAME[/SUBRESOURCE[/TAIL]]]
    .../watch/...                                 the old spelling of `?watch=true`

Everything else is a non-resource path: `/version`, `/apis/apps/v1`, `/openapi/v3`.
Source: k8s.io/apiserver `RequestInfoFactory`; the table of verbs is in the Kubernetes document
"Authorization: determine the request verb".

Parsing never fails, since authorisation comes before existence: a route may name a resource that
nobody serves. `require_served` is what refuses it, after the authoriser agreed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from podling.kube import errors, field_selectors, kinds
from podling.kube.kinds import Kind

_VERBS = {
    "GET": "get",
    "HEAD": "get",
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}

#: What follows `/namespaces/NAME/` and is a part of the namespace itself, not a resource in it.
_NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})


@dataclass(frozen=True, slots=True)
class Route:
    """What a request line asks for."""

    verb: str
    """get, list, watch, create, update, patch, delete or deletecollection; of a non-resource
    path the HTTP method in lower case."""
    path: str
    """Decoded, without empty segments and trailing slash; the root is "/"."""
    is_resource: bool = False
    group: str = ""
    version: str = ""
    resource: str = ""
    """Plural, such as `pods`."""
    namespace: str = ""
    """Empty for all namespaces and for cluster-scoped resources."""
    name: str = ""
    subresource: str = ""
    tail: str = ""
    """What follows the subresource, as in `pods/x/proxy/TAIL`."""
    kind: Kind | None = None
    """None if this server does not serve such a resource in such a scope."""
    selected_name: str = ""
    """The object that `fieldSelector=metadata.name=` confines a list or watch to."""


def parse(method: str, path: str, query: Mapping[str, str]) -> Route:
    """The route of a request; `path` is percent-encoded, `query` decoded."""
    raw = [part for part in path.split("/") if part]
    parts = [unquote(part) for part in raw]
    clean = "/" + "/".join(parts)
    address = _group_version(parts)
    if address is None:
        return Route(verb=method.lower(), path=clean)
    group, version, rest = address
    verb = _VERBS.get(method, method.lower())
    if rest[0] == "watch" and len(rest) > 1:
        rest, verb = rest[1:], "watch"
    namespace, rest = _split_namespace(rest)
    resource, name, subresource, *tail = [*rest, "", "", ""][: max(len(rest), 3)]
    verb = _collection_verb(verb, name, query)
    return Route(
        verb=verb,
        path=clean,
        is_resource=True,
        group=group,
        version=version,
        resource=resource,
        namespace=namespace,
        name=name,
        subresource=subresource,
        tail="/".join(tail),
        kind=_kind_in_scope(group, version, resource, namespace, name),
        selected_name="" if name else _selected_name(query),
    )


def require_served(route: Route) -> Kind:
    """The kind of a resource route, if it exists and serves the verb.

    Raises errors.NotFound or errors.MethodNotAllowed with a generic text.
    """
    kind = route.kind
    if kind is None:
        raise errors.NotFound()
    if route.verb in ("create", "deletecollection") and not route.subresource:
        if kind.namespaced and not route.namespace:
            raise errors.MethodNotAllowed(verb=route.verb)
        if route.verb == "create" and route.name:
            raise errors.MethodNotAllowed(verb=route.verb)
    if not route.subresource:
        if route.verb not in kind.verbs:
            raise errors.MethodNotAllowed(verb=route.verb)
        return kind
    for subresource in kind.subresources:
        if subresource.name == route.subresource:
            if route.verb not in subresource.verbs:
                raise errors.MethodNotAllowed(verb=route.verb)
            return kind
    raise errors.NotFound()


def is_true(value: str | None) -> bool:
    """How the API reads a boolean query parameter: present and neither `false` nor `0`."""
    return value is not None and value not in ("false", "0")


def _group_version(parts: list[str]) -> tuple[str, str, list[str]] | None:
    if len(parts) >= 3 and parts[0] == "api":
        return "", parts[1], parts[2:]
    if len(parts) >= 4 and parts[0] == "apis":
        return parts[1], parts[2], parts[3:]
    return None


def _split_namespace(rest: list[str]) -> tuple[str, list[str]]:
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in _NAMESPACE_SUBRESOURCES:
        return rest[1], rest[2:]
    return "", rest


def _collection_verb(verb: str, name: str, query: Mapping[str, str]) -> str:
    if verb == "get" and is_true(query.get("watch")):
        # `GET .../pods/x?watch=true` watches one object; upstream treats it as a watch too.
        return "watch"
    if name:
        return verb
    return {"get": "list", "delete": "deletecollection"}.get(verb, verb)


def _kind_in_scope(
    group: str, version: str, resource: str, namespace: str, name: str
) -> Kind | None:
    kind = kinds.find(group, version, resource)
    if kind is None or (namespace and not kind.namespaced):
        return None
    if kind.namespaced and name and not namespace:
        return None
    return kind


def _selected_name(query: Mapping[str, str]) -> str:
    try:
        selector = field_selectors.parse(query.get("fieldSelector", ""))
    except ValueError:
        return ""
    return selector.required("metadata.name") or ""
