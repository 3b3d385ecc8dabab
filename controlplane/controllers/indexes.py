"""The indexes that controllers share on the informers.

Informers are shared too, with the scheduler for one, so the names say whose they are; and the
functions stand here once, since an informer knows an index by its function.
"""

from podling.controlplane.controllers import pod_state
from podling.kube import meta
from podling.kube.informer import Informer
from podling.kube.meta import Object

NAMESPACE_INDEX = "controllers/namespace"
NODE_INDEX = "controllers/node"
CONTROLLER_INDEX = "controllers/controller"


def by_namespace(obj: Object) -> list[str]:
    """The index NAMESPACE_INDEX."""
    return [meta.namespace(obj)]


def by_node(pod: Object) -> list[str]:
    """The index NODE_INDEX: pods by the node that they are bound to, "" if to none."""
    return [pod_state.node_name(pod)]


def by_controller(obj: Object) -> list[str]:
    """The index CONTROLLER_INDEX: by the controller's uid, or with the orphans of a namespace."""
    controller = meta.controller_of(obj)
    return [_orphans(meta.namespace(obj)) if controller is None else controller.get("uid", "")]


def _orphans(namespace: str) -> str:
    return f"orphans in {namespace}"


def candidates(informer: Informer, owner: Object) -> list[Object]:
    """What `ownership.claim` need look at: the objects of the owner, and those of nobody."""
    return [
        *informer.by_index(CONTROLLER_INDEX, meta.uid(owner)),
        *informer.by_index(CONTROLLER_INDEX, _orphans(meta.namespace(owner))),
    ]
