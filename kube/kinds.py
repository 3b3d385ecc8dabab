"""The kinds Podling serves: one record each, the same for built-in kinds and custom ones.

A record says where a kind is found in the REST interface, where its objects lie in the store and
which of their fields a client may select by. What a kind *does* (defaults, validation, columns) is
the API server's; nobody else needs it.

Sources: the Kubernetes API reference (v1.37) for plurals, scopes, verbs, short names and
subresources; kube-apiserver's storage layout for the keys.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

_PATH_SAFE = ":@!$&'()*+,;=~"
"""RFC 3986 lets these stand in a path segment; RBAC names such as `system:node` need the colon."""

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
EDIT_VERBS = ("get", "patch", "update")
CONNECT_VERBS = ("create", "get")
PROXY_VERBS = ("create", "delete", "get", "patch", "update")


@dataclass(frozen=True, slots=True)
class Subresource:
    """A part of an object with a path of its own, such as `status` or `scale`."""

    name: str
    group: str
    version: str
    kind: str
    """Group, version and kind of the body, which may differ from the parent's."""
    verbs: tuple[str, ...] = EDIT_VERBS
    served: bool = True
    """False: known, so that asking for it is answered in plain words, but not built yet."""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind in one version."""

    group: str
    """Empty for the core group."""
    version: str
    kind: str
    plural: str
    singular: str = field(hash=False)
    namespaced: bool = field(hash=False)
    storage_prefix: str = field(hash=False)
    """First part of every key, with a slash at both ends: `/registry/services/specs/`. Two records
    with the same prefix are two views of the same objects."""
    short_names: tuple[str, ...] = field(default=(), hash=False)
    categories: tuple[str, ...] = field(default=(), hash=False)
    verbs: tuple[str, ...] = field(default=ALL_VERBS, hash=False)
    subresources: tuple[Subresource, ...] = field(default=(), hash=False)
    selectable_fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    """Field selector name -> path in the object. Every kind has `metadata.name`, and
    `metadata.namespace` if namespaced."""
    selectable_defaults: Mapping[str, str] = field(default_factory=dict, hash=False)
    """What a selector compares with where the field is absent, if not the empty text."""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def list_kind(self) -> str:
        return f"{self.kind}List"

    @property
    def resource(self) -> str:
        """The name error messages use: `pods`, `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def qualified_kind(self) -> str:
        """The name validation messages use: `Pod`, `Deployment.apps`."""
        return f"{self.kind}.{self.group}" if self.group else self.kind

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of one object or, without a name, of the collection.

        Without a namespace it is the collection over all namespaces.
        """
        parts = [f"/apis/{self.group}" if self.group else "/api", self.version]
        if namespace and self.namespaced:
            parts += ["namespaces", quote(namespace, safe=_PATH_SAFE)]
        parts.append(self.plural)
        if name:
            parts.append(quote(name, safe=_PATH_SAFE))
            if subresource:
                parts.append(subresource)
        return "/".join(parts)

    def storage_key(self, namespace: str, name: str) -> bytes:
        """Where the store keeps an object: prefix, namespace if there is one, name."""
        if self.namespaced:
            return f"{self.storage_prefix}{namespace}/{name}".encode()
        return f"{self.storage_prefix}{name}".encode()

    def storage_range(self, namespace: str = "") -> bytes:
        """The prefix of all keys of the kind, or of those in one namespace."""
        if namespace and self.namespaced:
            return f"{self.storage_prefix}{namespace}/".encode()
        return self.storage_prefix.encode()

    @property
    def served_subresources(self) -> tuple[Subresource, ...]:
        """Those that clients are told of."""
        return tuple(part for part in self.subresources if part.served)

    def subresource(self, name: str) -> Subresource | None:
        return next((part for part in self.subresources if part.name == name), None)


def _fields(*names: str, namespaced: bool = True) -> dict[str, tuple[str, ...]]:
    """Selectable fields whose selector name spells their path, after those every kind has."""
    always = ("metadata.name", "metadata.namespace") if namespaced else ("metadata.name",)
    return {name: tuple(name.split(".")) for name in (*always, *names)}


NAMESPACE = Kind(
    "", "v1", "Namespace", "namespaces", "namespace", False, "/registry/namespaces/",
    short_names=("ns",),
    verbs=tuple(verb for verb in ALL_VERBS if verb != "deletecollection"),
    subresources=(
        Subresource("finalize", "", "v1", "Namespace", ("update",)),
        Subresource("status", "", "v1", "Namespace"),
    ),
    selectable_fields=_fields("status.phase", namespaced=False),
)  # fmt: skip

NODE = Kind(
    "", "v1", "Node", "nodes", "node", False, "/registry/minions/",
    short_names=("no",),
    subresources=(
        Subresource("proxy", "", "v1", "NodeProxyOptions", PROXY_VERBS, served=False),
        Subresource("status", "", "v1", "Node"),
    ),
    selectable_fields=_fields("spec.unschedulable", namespaced=False),
    selectable_defaults={"spec.unschedulable": "false"},
)  # fmt: skip

POD = Kind(
    "", "v1", "Pod", "pods", "pod", True, "/registry/pods/",
    short_names=("po",),
    categories=("all",),
    subresources=(
        Subresource("attach", "", "v1", "PodAttachOptions", CONNECT_VERBS, served=False),
        Subresource("binding", "", "v1", "Binding", ("create",)),
        Subresource("ephemeralcontainers", "", "v1", "Pod", served=False),
        Subresource("eviction", "policy", "v1", "Eviction", ("create",)),
        Subresource("exec", "", "v1", "PodExecOptions", CONNECT_VERBS, served=False),
        Subresource("log", "", "v1", "Pod", ("get",)),
        Subresource("portforward", "", "v1", "PodPortForwardOptions", CONNECT_VERBS, served=False),
        Subresource("proxy", "", "v1", "PodProxyOptions", PROXY_VERBS, served=False),
        Subresource("resize", "", "v1", "Pod", served=False),
        Subresource("status", "", "v1", "Pod"),
    ),
    selectable_fields=_fields(
        "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
        "spec.hostNetwork", "status.phase", "status.podIP", "status.nominatedNodeName",
    ) | {"status.podIPs": ("status", "podIP"), "spec.host": ("spec", "nodeName")},
    selectable_defaults={"spec.hostNetwork": "false"},
)  # fmt: skip

SERVICE = Kind(
    "", "v1", "Service", "services", "service", True, "/registry/services/specs/",
    short_names=("svc",),
    categories=("all",),
    subresources=(
        Subresource("proxy", "", "v1", "ServiceProxyOptions", PROXY_VERBS, served=False),
        Subresource("status", "", "v1", "Service"),
    ),
    selectable_fields=_fields("spec.clusterIP", "spec.type"),
)  # fmt: skip

ENDPOINT_SLICE = Kind(
    "discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", "endpointslice", True,
    "/registry/endpointslices/",
    selectable_fields=_fields(),
)  # fmt: skip

REPLICA_SET = Kind(
    "apps", "v1", "ReplicaSet", "replicasets", "replicaset", True, "/registry/replicasets/",
    short_names=("rs",),
    categories=("all",),
    subresources=(
        Subresource("scale", "autoscaling", "v1", "Scale"),
        Subresource("status", "apps", "v1", "ReplicaSet"),
    ),
    selectable_fields=_fields("status.replicas"),
    selectable_defaults={"status.replicas": "0"},
)  # fmt: skip

DEPLOYMENT = Kind(
    "apps", "v1", "Deployment", "deployments", "deployment", True, "/registry/deployments/",
    short_names=("deploy",),
    categories=("all",),
    subresources=(
        Subresource("scale", "autoscaling", "v1", "Scale"),
        Subresource("status", "apps", "v1", "Deployment"),
    ),
    selectable_fields=_fields(),
)  # fmt: skip

CONFIG_MAP = Kind(
    "", "v1", "ConfigMap", "configmaps", "configmap", True, "/registry/configmaps/",
    short_names=("cm",),
    selectable_fields=_fields(),
)  # fmt: skip

SECRET = Kind(
    "", "v1", "Secret", "secrets", "secret", True, "/registry/secrets/",
    selectable_fields=_fields("type"),
)  # fmt: skip

SERVICE_ACCOUNT = Kind(
    "", "v1", "ServiceAccount", "serviceaccounts", "serviceaccount", True,
    "/registry/serviceaccounts/",
    short_names=("sa",),
    subresources=(
        Subresource(
            "token", "authentication.k8s.io", "v1", "TokenRequest", ("create",), served=False
        ),
    ),
    selectable_fields=_fields(),
)  # fmt: skip

EVENT = Kind(
    "", "v1", "Event", "events", "event", True, "/registry/events/",
    short_names=("ev",),
    selectable_fields=_fields(
        "involvedObject.kind", "involvedObject.namespace", "involvedObject.name",
        "involvedObject.uid", "involvedObject.apiVersion", "involvedObject.resourceVersion",
        "involvedObject.fieldPath", "reason", "reportingComponent", "type",
    ) | {"source": ("source", "component")},
)  # fmt: skip

LEASE = Kind(
    "coordination.k8s.io", "v1", "Lease", "leases", "lease", True, "/registry/leases/",
    selectable_fields=_fields(),
)  # fmt: skip

BUILT_IN = (
    NAMESPACE, NODE, POD, SERVICE, ENDPOINT_SLICE, REPLICA_SET, DEPLOYMENT, CONFIG_MAP, SECRET,
    SERVICE_ACCOUNT, EVENT, LEASE,
)  # fmt: skip


def _index(kinds: Iterable[Kind]) -> dict[tuple[str, str], Kind]:
    return {(kind.api_version, kind.kind): kind for kind in kinds}


_BY_KIND = _index(BUILT_IN)
_BY_PLURAL = {(kind.group, kind.version, kind.plural): kind for kind in BUILT_IN}


def find(group: str, version: str, plural: str) -> Kind | None:
    """The built-in kind that a URL path names."""
    return _BY_PLURAL.get((group, version, plural))


def find_kind(api_version: str, kind: str) -> Kind | None:
    """The built-in kind that an object's `apiVersion` and `kind` name."""
    return _BY_KIND.get((api_version, kind))
