"""Nodes, namespaces, configuration, identities, leases."""

from typing import Any

from podling.controlplane.apiserver.tables import ages
from podling.controlplane.apiserver.tables.columns import AGE, NAME, Printer, number, text, wide
from podling.kube import conditions, meta
from podling.kube.meta import Object

NONE = "<none>"
_ROLE_PREFIX = "node-role.kubernetes.io/"
_ROLE_LABEL = "kubernetes.io/role"


def _node(obj: Object, now: float) -> list[Any]:
    status = obj.get("status") or {}
    info = status.get("nodeInfo") or {}
    return [
        meta.name(obj),
        _node_status(obj),
        _node_roles(obj),
        ages.age(obj, now),
        info.get("kubeletVersion", ""),
        _node_address(status, "InternalIP"),
        _node_address(status, "ExternalIP"),
        info.get("osImage") or ages.UNKNOWN,
        info.get("kernelVersion") or ages.UNKNOWN,
        info.get("containerRuntimeVersion") or ages.UNKNOWN,
    ]


def _node_status(node: Object) -> str:
    ready = conditions.of(node, "Ready")
    if ready is None:
        words = ["Unknown"]
    else:
        words = ["Ready" if ready.get("status") == conditions.TRUE else "NotReady"]
    if (node.get("spec") or {}).get("unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def _node_roles(node: Object) -> str:
    roles = set()
    for label, value in meta.labels(node).items():
        if label.startswith(_ROLE_PREFIX) and label != _ROLE_PREFIX:
            roles.add(label.removeprefix(_ROLE_PREFIX))
        elif label == _ROLE_LABEL and value:
            roles.add(value)
    return ",".join(sorted(roles)) or NONE


def _node_address(status: Object, type_: str) -> str:
    for address in status.get("addresses") or ():
        if address.get("type") == type_:
            return str(address.get("address"))
    return NONE


def _namespace(obj: Object, now: float) -> list[Any]:
    return [meta.name(obj), (obj.get("status") or {}).get("phase", ""), ages.age(obj, now)]


def _config_map(obj: Object, now: float) -> list[Any]:
    entries = len(obj.get("data") or ()) + len(obj.get("binaryData") or ())
    return [meta.name(obj), entries, ages.age(obj, now)]


def _secret(obj: Object, now: float) -> list[Any]:
    return [meta.name(obj), obj.get("type", ""), len(obj.get("data") or ()), ages.age(obj, now)]


def _service_account(obj: Object, now: float) -> list[Any]:
    return [meta.name(obj), len(obj.get("secrets") or ()), ages.age(obj, now)]


def _lease(obj: Object, now: float) -> list[Any]:
    holder = (obj.get("spec") or {}).get("holderIdentity") or ""
    return [meta.name(obj), holder, ages.age(obj, now)]


NODES = Printer(
    columns=(
        NAME,
        text("Status", "Whether the node is ready, and whether new pods may go there."),
        text("Roles", "Roles from the node's labels."),
        AGE,
        text("Version", "Version of the node's agent."),
        wide("Internal-IP", "The node's address inside the cluster."),
        wide("External-IP", "The node's address outside of the cluster."),
        wide("OS-Image", "Operating system of the node."),
        wide("Kernel-Version", "Kernel of the node."),
        wide("Container-Runtime", "What runs the containers, and its version."),
    ),
    cells=_node,
)

NAMESPACES = Printer(
    columns=(NAME, text("Status", "Active, or being deleted."), AGE), cells=_namespace
)
CONFIG_MAPS = Printer(columns=(NAME, number("Data", "Count of entries."), AGE), cells=_config_map)
SECRETS = Printer(
    columns=(
        NAME,
        text("Type", "What the secret is for."),
        number("Data", "Count of entries."),
        AGE,
    ),
    cells=_secret,
)
SERVICE_ACCOUNTS = Printer(
    columns=(NAME, number("Secrets", "Count of secrets listed in the account."), AGE),
    cells=_service_account,
)
LEASES = Printer(
    columns=(NAME, text("Holder", "Who holds the lease, as they call themselves."), AGE),
    cells=_lease,
)
