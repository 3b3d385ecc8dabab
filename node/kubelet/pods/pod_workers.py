"""The workers of all pods on this node, and who tells them what.

pods of this node (informer)  -> a worker per uid: begin, update, or "it is gone"
the runtime's events          -> the worker of that uid
a sandbox without a pod       -> a worker that only ends it (deleted while nobody looked)
"""

import logging
from collections.abc import Callable

from podling.aiokit.tasks import TaskSet
from podling.kube import meta
from podling.kube.informer import Informer
from podling.kube.meta import Object
from podling.node.kubelet.planning import pod_spec
from podling.node.kubelet.pods.pod_actions import PodActions
from podling.node.kubelet.pods.pod_worker import PodWorker, WorkerSettings

log = logging.getLogger(__name__)


class PodWorkers:
    """A component. It does nothing until `start`, when runtime and network must be known."""

    name = "pods"

    def __init__(self, pods: Informer, settings: WorkerSettings) -> None:
        self._pods = pods
        self._settings = settings
        self._workers: dict[str, PodWorker] = {}
        self._tasks = TaskSet("pods")
        self._unsubscribe: Callable[[], None] | None = None
        self._complete = False

    async def start(self) -> None:
        self._unsubscribe = self._pods.subscribe(self.pod_changed)
        self._tasks.spawn(self._find_orphans(), name="orphans")

    async def stop(self) -> None:
        """Let go of all pods; they keep running."""
        if self._unsubscribe is not None:
            self._unsubscribe()
        await self._tasks.close()
        for worker in list(self._workers.values()):
            await worker.stop()
        self._workers.clear()

    def pod_changed(self, key: str) -> None:
        """The API's pod of this key came, changed or went."""
        pod = self._pods.get(key)
        uid = "" if pod is None else meta.uid(pod)
        for worker in list(self._workers.values()):
            if worker.key == key and worker.uid != uid:
                worker.remove()
        if pod is None:
            return
        if uid in self._workers:
            self._workers[uid].update(pod)
        else:
            self._begin(pod)

    def runtime_changed(self, uid: str) -> None:
        """The runtime has news of the pod with this uid."""
        worker = self._workers.get(uid)
        if worker is not None:
            worker.poke()
        elif self._complete:
            self._end_orphan(uid)

    def pods(self) -> list[Object]:
        """The pods that are being worked on, as the API has them."""
        return [pod for w in self._workers.values() if (pod := self._pods.get(w.key)) is not None]

    def pod(self, namespace: str, name: str) -> Object | None:
        return self._pods.get(meta.join_key(namespace, name))

    def _begin(self, pod: Object) -> PodWorker:
        worker = self._workers[meta.uid(pod)] = PodWorker(pod, self._settings, self._ended)
        worker.start()
        return worker

    async def _find_orphans(self) -> None:
        """What the runtime holds of pods that were deleted while this kubelet was away."""
        await self._pods.wait_synced()
        self._complete = True
        for uid in self._settings.cache.uids():
            if uid not in self._workers:
                self._end_orphan(uid)
        for uid in self._settings.tools.volumes.uids():
            if uid not in self._workers:
                self._settings.tools.volumes.tear_down(uid)
        PodActions(self._settings.tools).clean_logs(self._workers)

    def _end_orphan(self, uid: str) -> None:
        runtime = self._settings.cache.pod(uid)
        if runtime is None:
            return
        log.info("ending pod %s/%s, which the API does not know", runtime.namespace, runtime.name)
        skeleton: Object = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"namespace": runtime.namespace, "name": runtime.name, "uid": uid},
            "spec": {
                "containers": [{"name": name} for name in {c.name for c in runtime.containers}],
                "terminationGracePeriodSeconds": pod_spec.SHORTEST_GRACE,
            },
        }
        self._begin(skeleton).remove()

    def _ended(self, worker: PodWorker) -> None:
        self._workers.pop(worker.uid, None)
        # The worker's own task is what calls this: it cannot wait for itself.
        self._tasks.spawn(worker.stop(), name=f"stop-{worker.uid}")
        self._tasks.spawn(self._settings.tools.objects.collect(), name="collect")
