"""The admission rules every cluster has.

Source: the Kubernetes document "Admission control in Kubernetes", sections NamespaceLifecycle,
ServiceAccount and DefaultTolerationSeconds.
"""

from podling.controlplane.apiserver.registry.admission import CREATE, DELETE, Admission
from podling.controlplane.apiserver.storage import encoded
from podling.controlplane.apiserver.storage.interface import Storage
from podling.controlplane.apiserver.watch_cache.watch_cache import WatchCache
from podling.kube import errors, meta
from podling.kube.kinds import NAMESPACE, POD
from podling.kube.meta import Object

IMMORTAL_NAMESPACES = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})
"""Upstream lets the last one go; here nodes would be given up before it is made again."""
DEFAULT_SERVICE_ACCOUNT = "default"
NOT_READY_TAINT = "node.kubernetes.io/not-ready"
UNREACHABLE_TAINT = "node.kubernetes.io/unreachable"


class NamespaceLifecycle:
    """Objects are created in namespaces that exist and are not going away."""

    def __init__(self, cache: WatchCache, storage: Storage) -> None:
        self._cache = cache
        self._storage = storage

    async def mutate(self, admission: Admission) -> None:
        """Refuses before others spend work on what cannot be."""
        if admission.operation == DELETE:
            self._check_deletion(admission)
        elif admission.operation == CREATE and admission.kind.namespaced:
            await self._check_creation(admission)

    async def validate(self, admission: Admission) -> None:
        """Nothing is left to check."""

    def _check_deletion(self, admission: Admission) -> None:
        if admission.kind == NAMESPACE and admission.name in IMMORTAL_NAMESPACES:
            raise errors.Forbidden(
                kind=NAMESPACE, name=admission.name, message="this namespace may not be deleted"
            )

    async def _check_creation(self, admission: Admission) -> None:
        namespace = await self._find(admission.namespace)
        if namespace is None:
            raise errors.NotFound(kind=NAMESPACE, name=admission.namespace)
        if not meta.is_deleting(namespace):
            return
        raise errors.Forbidden(
            kind=admission.kind,
            name=admission.name,
            message=(
                f"unable to create new content in namespace {admission.namespace} "
                "because it is being terminated"
            ),
            causes=[
                {
                    "reason": "NamespaceTerminating",
                    "message": f"namespace {admission.namespace} is being terminated",
                    "field": "metadata.namespace",
                }
            ],
        )

    async def _find(self, name: str) -> Object | None:
        key = NAMESPACE.storage_key("", name)
        if self._cache.loaded.is_set():
            cached = self._cache.of(NAMESPACE).get(key)
            if cached is not None:
                return cached.decode()
        # It may have been made a moment ago, through another server.
        found = (await self._storage.get(key)).kv
        return None if found is None else encoded.load(NAMESPACE, found)


class ServiceAccountDefault:
    """A pod that names no service account runs as `default`."""

    async def mutate(self, admission: Admission) -> None:
        spec = _new_pod_spec(admission)
        if spec is not None and not spec.get("serviceAccountName"):
            spec["serviceAccountName"] = DEFAULT_SERVICE_ACCOUNT

    async def validate(self, admission: Admission) -> None:
        """Whether the account exists is for whoever mounts its token to find out."""


class DefaultTolerationSeconds:
    """A pod stays on a node that is gone for so long and no longer, unless it says otherwise."""

    def __init__(self, not_ready_seconds: int, unreachable_seconds: int) -> None:
        self._seconds = {
            NOT_READY_TAINT: not_ready_seconds,
            UNREACHABLE_TAINT: unreachable_seconds,
        }

    async def mutate(self, admission: Admission) -> None:
        spec = _new_pod_spec(admission)
        if spec is None:
            return
        tolerations = spec.get("tolerations") or []
        for taint, seconds in self._seconds.items():
            if not any(_tolerates(toleration, taint) for toleration in tolerations):
                tolerations.append(
                    {
                        "key": taint,
                        "operator": "Exists",
                        "effect": "NoExecute",
                        "tolerationSeconds": seconds,
                    }
                )
        spec["tolerations"] = tolerations

    async def validate(self, admission: Admission) -> None:
        """Any toleration is allowed."""


def _new_pod_spec(admission: Admission) -> Object | None:
    if admission.kind != POD or admission.operation != CREATE or admission.subresource:
        return None
    assert admission.obj is not None
    spec: Object | None = admission.obj.get("spec")
    return spec


def _tolerates(toleration: Object, taint: str) -> bool:
    return toleration.get("key") in (taint, None, "") and toleration.get("effect") in (
        "NoExecute",
        None,
        "",
    )
