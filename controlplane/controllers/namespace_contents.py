"""What every namespace has from its first moment: an account, and the cluster's root certificate.

Both are made again when somebody deletes them, and the certificate is put right when somebody
changes it. Source: the Kubernetes documents "Service Accounts" and "Configure Service Accounts for
Pods", the controllers serviceaccount and root-ca-publisher.
"""

from podling.controlplane.controllers.context import ControllerContext
from podling.controlplane.controllers.relations import Subscriptions
from podling.kube import kinds, meta
from podling.kube.errors import AlreadyExists, Forbidden, NotFound
from podling.kube.informer import Informer
from podling.kube.kinds import Kind
from podling.kube.meta import Object
from podling.kube.reconciler import DONE, Reconciler, Result

DEFAULT_ACCOUNT = "default"
ROOT_CA = "kube-root-ca.crt"
CERTIFICATE_KEY = "ca.crt"
DESCRIPTION = "kubernetes.io/description"
_DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal "
    "endpoints such as the internal service IP or kubernetes.default.svc. No other usage is "
    "guaranteed across distributions of Kubernetes clusters."
)


def default_account(namespace: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": DEFAULT_ACCOUNT, "namespace": namespace},
    }


def root_ca(namespace: str, certificate: str) -> Object:
    """The ConfigMap with the PEM text of the certificate."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": ROOT_CA,
            "namespace": namespace,
            "annotations": {DESCRIPTION: _DESCRIPTION},
        },
        "data": {CERTIFICATE_KEY: certificate},
    }


class NamespaceContentsController:
    """Reconciles the names of namespaces."""

    name = "namespace-contents"

    def __init__(self, context: ControllerContext, workers: int, certificate: str) -> None:
        """`certificate`: the root certificate as PEM; empty: none is published."""
        self._client = context.client
        self._certificate = certificate
        self._namespaces = context.informers.informer(kinds.NAMESPACE)
        self._accounts = context.informers.informer(kinds.SERVICE_ACCOUNT)
        self._config_maps = context.informers.informer(kinds.CONFIG_MAP)
        self._reconciler = Reconciler(
            self.name, self._reconcile, context.backoff(), workers=workers
        )
        self._subscriptions = Subscriptions()

    async def start(self) -> None:
        await self._subscriptions.add(self._namespaces, self._reconciler.enqueue)
        await self._watch(self._accounts, DEFAULT_ACCOUNT)
        await self._watch(self._config_maps, ROOT_CA)
        await self._reconciler.start()

    async def stop(self) -> None:
        self._subscriptions.end()
        await self._reconciler.stop()

    async def _watch(self, informer: Informer, name: str) -> None:
        def changed(key: str) -> None:
            namespace, changed_name = meta.split_key(key)
            if changed_name == name:
                self._reconciler.enqueue(namespace)

        await self._subscriptions.add(informer, changed)

    async def _reconcile(self, key: str) -> Result:
        namespace = self._namespaces.get(key)
        if namespace is None or meta.is_deleting(namespace):
            return DONE
        if self._accounts.get(meta.join_key(key, DEFAULT_ACCOUNT)) is None:
            await self._create(kinds.SERVICE_ACCOUNT, default_account(key))
        if self._certificate:
            await self._publish(key)
        return DONE

    async def _publish(self, namespace: str) -> None:
        wanted = root_ca(namespace, self._certificate)
        found = self._config_maps.get(meta.join_key(namespace, ROOT_CA))
        if found is None:
            await self._create(kinds.CONFIG_MAP, wanted)
        elif found.get("data") != wanted["data"]:
            await self._client.update(kinds.CONFIG_MAP, {**found, "data": wanted["data"]})

    async def _create(self, kind: Kind, obj: Object) -> None:
        try:
            await self._client.create(kind, obj)
        except (AlreadyExists, Forbidden, NotFound):
            return  # made by another leader, or the namespace is on its way out
