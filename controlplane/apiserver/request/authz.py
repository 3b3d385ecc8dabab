"""May they: attributes of a request in, a decision with its reason out. Pure.

`Authorizer` is the interface; `SystemAuthorizer` knows the groups and users that a cluster runs
on (Kubernetes documents "Authorization", "Using Node Authorization" and the default roles of
"Using RBAC Authorization"). Who is in none of them may read discovery and review themselves;
anonymous callers reach health and version only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from podling.controlplane.apiserver.request import authn
from podling.controlplane.apiserver.request.authn import User
from podling.controlplane.apiserver.request.routes import Route
from podling.kube import errors
from podling.kube.kinds import Kind

#: (namespace, name) of a pod -> the node that it is bound to; "" if unbound, None if unknown.
NodeOfPod = Callable[[str, str], str | None]

READ = frozenset({"get", "list", "watch"})
WRITE = frozenset({"create", "update", "patch", "delete"})
ANY = READ | WRITE | {"deletecollection"}


@dataclass(frozen=True, slots=True)
class Attributes:
    """What an authoriser is asked about."""

    user: User
    verb: str
    path: str
    is_resource: bool = False
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""

    @property
    def full_resource(self) -> str:
        """`pods`, or `pods/status` for a subresource."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer; `reason` says more about a refusal, and may be empty."""

    allowed: bool
    reason: str = ""


ALLOW = Decision(True)
DENY = Decision(False)


class Authorizer(Protocol):
    """Decides without waiting; what it needs to know, it has."""

    def authorize(self, attributes: Attributes) -> Decision: ...


def attributes(user: User, route: Route) -> Attributes:
    """What `user` asks with `route`.

    A namespace is in itself, as upstream has it; a list that a field selector confines to one
    object counts as a request for that object.
    """
    return Attributes(
        user=user,
        verb=route.verb,
        path=route.path,
        is_resource=route.is_resource,
        group=route.group,
        resource=route.resource,
        subresource=route.subresource,
        namespace=route.name if route.resource == "namespaces" else route.namespace,
        name=route.name or route.selected_name,
    )


def forbidden(asked: Attributes, reason: str = "") -> errors.ApiError:
    """The 403 in upstream's words, for example:

    `pods "x" is forbidden: User "u" cannot get resource "pods" in API group "" in the namespace
    "default"`, or `forbidden: User "u" cannot get path "/metrics"`.
    """
    message = _refusal(asked)
    if reason:
        message = f"{message}: {reason}"
    if not asked.is_resource:
        return errors.Forbidden(message=message)
    # Nobody need serve the resource: authorisation comes first, and only its name is printed.
    kind = Kind(asked.group, "", "", asked.resource, "", False, "")
    return errors.Forbidden(message=message, kind=kind, name=asked.name)


def _refusal(asked: Attributes) -> str:
    user = asked.user.name
    if not asked.is_resource:
        return f'User "{user}" cannot {asked.verb} path "{asked.path}"'
    scope = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    return (
        f'User "{user}" cannot {asked.verb} resource "{asked.full_resource}" '
        f'in API group "{asked.group}" {scope}'
    )


@dataclass(frozen=True, slots=True)
class Rule:
    """Allows `verbs` on `resources` ("*": all, subresources included) of `group` ("*": all)."""

    verbs: frozenset[str]
    group: str
    resources: frozenset[str]

    def covers(self, asked: Attributes) -> bool:
        return (
            asked.verb in self.verbs
            and self.group in ("*", asked.group)
            and ("*" in self.resources or asked.full_resource in self.resources)
        )


def _rule(verbs: frozenset[str], group: str, *resources: str) -> Rule:
    return Rule(verbs, group, frozenset(resources))


_CREATE = frozenset({"create"})
_CHANGE = frozenset({"update", "patch"})

_EVENT_RULES = (
    _rule(_CREATE | _CHANGE, "", "events"),
    _rule(_CREATE | _CHANGE, "events.k8s.io", "events"),
)

_SELF_REVIEW_RULES = (
    _rule(
        _CREATE,
        "authorization.k8s.io",
        "selfsubjectaccessreviews",
        "selfsubjectrulesreviews",
    ),
    _rule(_CREATE, "authentication.k8s.io", "selfsubjectreviews"),
)

_SCHEDULER_RULES = (
    *_EVENT_RULES,
    _rule(READ, "*", "*"),
    _rule(_CREATE, "", "pods/binding", "bindings"),
    _rule(_CHANGE, "", "pods/status"),
    _rule(frozenset({"delete"}), "", "pods"),
    _rule(_CREATE | _CHANGE, "coordination.k8s.io", "leases"),
)

# The control loops of one process share one identity, so its rights are the sum of theirs.
_CONTROLLER_RULES = (
    *_EVENT_RULES,
    _rule(READ, "*", "*"),
    # Garbage collection and namespace deletion remove and unfinalize objects of every kind.
    _rule(frozenset({"delete", "deletecollection", "update", "patch"}), "*", "*"),
    _rule(_CREATE, "", "pods", "configmaps", "secrets", "serviceaccounts", "endpoints"),
    _rule(_CREATE, "", "serviceaccounts/token"),
    _rule(_CREATE, "apps", "replicasets", "controllerrevisions"),
    _rule(_CREATE, "batch", "jobs"),
    _rule(_CREATE, "discovery.k8s.io", "endpointslices"),
    _rule(_CREATE, "coordination.k8s.io", "leases"),
)

_USER_RULES = {
    "system:kube-scheduler": _SCHEDULER_RULES,
    "system:kube-controller-manager": _CONTROLLER_RULES,
}

# Reads that a node agent, its service proxy and its DNS server need.
_NODE_READ_RULES = (
    _rule(READ, "", "pods", "services", "endpoints", "nodes", "namespaces"),
    _rule(READ, "", "configmaps", "secrets", "serviceaccounts"),
    _rule(READ, "", "persistentvolumeclaims", "persistentvolumes"),
    _rule(READ, "discovery.k8s.io", "endpointslices"),
    _rule(READ, "node.k8s.io", "runtimeclasses"),
    _rule(READ, "storage.k8s.io", "*"),
)

_PUBLIC_PATHS = ("/healthz", "/livez", "/readyz", "/version")
_DISCOVERY_PATHS = ("/api", "/apis", "/openapi")


class SystemAuthorizer:
    """Authorises by the system groups and users alone.

    `node_of_pod` looks a pod up in the cache: a node's agent may then change the pods bound to
    its own node only. A pod that the cache does not know (yet) is left to the agent that asks.
    """

    def __init__(self, node_of_pod: NodeOfPod) -> None:
        self._node_of_pod = node_of_pod

    def authorize(self, asked: Attributes) -> Decision:
        user = asked.user
        if authn.MASTERS in user.groups:
            return ALLOW
        if not asked.is_resource:
            return _authorize_path(asked)
        if authn.AUTHENTICATED not in user.groups:
            return DENY
        if _any_covers(_SELF_REVIEW_RULES, asked):
            return ALLOW
        if _any_covers(_USER_RULES.get(user.name, ()), asked):
            return ALLOW
        if authn.NODES in user.groups:
            return self._authorize_node(asked)
        return DENY

    def _authorize_node(self, asked: Attributes) -> Decision:
        node = asked.user.node_name
        if not node:
            return Decision(False, f'unknown node for user "{asked.user.name}"')
        if _any_covers(_NODE_READ_RULES, asked) or _any_covers(_EVENT_RULES, asked):
            return ALLOW
        match (asked.group, asked.resource):
            case ("", "nodes"):
                return _authorize_own_node(node, asked)
            case ("coordination.k8s.io", "leases"):
                return _authorize_own_lease(node, asked)
            case ("", "pods"):
                return self._authorize_own_pod(node, asked)
            case ("", "serviceaccounts") if asked.subresource == "token":
                return ALLOW if asked.verb == "create" else DENY
        return DENY

    def _authorize_own_pod(self, node: str, asked: Attributes) -> Decision:
        if asked.subresource not in ("", "status", "eviction") or asked.verb not in WRITE:
            return DENY
        if not asked.subresource and asked.verb not in ("create", "delete"):
            return Decision(False, "a node may change only the status of a pod")
        bound_to = self._node_of_pod(asked.namespace, asked.name) if asked.name else None
        if bound_to is None or bound_to == node:
            return ALLOW
        return Decision(
            False, f"node '{node}' can only change pods with spec.nodeName set to itself"
        )


def _authorize_path(asked: Attributes) -> Decision:
    if asked.verb not in ("get", "head"):
        return DENY
    if _is_under(asked.path, _PUBLIC_PATHS):
        return ALLOW
    if authn.AUTHENTICATED in asked.user.groups and _is_under(asked.path, _DISCOVERY_PATHS):
        return ALLOW
    return DENY


def _is_under(path: str, roots: tuple[str, ...]) -> bool:
    return any(path == root or path.startswith(root + "/") for root in roots)


def _authorize_own_node(node: str, asked: Attributes) -> Decision:
    if asked.subresource not in ("", "status") or asked.verb not in (_CREATE | _CHANGE):
        return DENY
    # The name of a node that is being created stands in the body, not in the URL.
    if asked.verb == "create" or asked.name == node:
        return ALLOW
    return Decision(False, f"node '{node}' is not allowed to modify node '{asked.name}'")


def _authorize_own_lease(node: str, asked: Attributes) -> Decision:
    if asked.namespace != "kube-node-lease":
        return Decision(False, 'can only access leases in the "kube-node-lease" system namespace')
    if asked.verb == "create" or (asked.name == node and asked.verb in ANY):
        return ALLOW
    return Decision(False, "can only access node lease with the same name as the requesting node")


def _any_covers(rules: tuple[Rule, ...], asked: Attributes) -> bool:
    return any(rule.covers(asked) for rule in rules)
