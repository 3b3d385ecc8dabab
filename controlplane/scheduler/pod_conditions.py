"""Writes down why a pod waits: its condition PodScheduled=False, with a reason and a message."""

from typing import Final

from podling.aiokit.backoff import Backoff
from podling.aiokit.clock import WallClock
from podling.kube import conditions, kinds, meta, timestamps
from podling.kube.client import STRATEGIC_MERGE_PATCH, Client
from podling.kube.errors import Conflict, NotFound
from podling.kube.informer import Informer
from podling.kube.meta import Object
from podling.kube.reconciler import DONE, Reconciler, Result

POD_SCHEDULED: Final = "PodScheduled"
UNSCHEDULABLE: Final = "Unschedulable"
SCHEDULER_ERROR: Final = "SchedulerError"


class PodConditions:
    """Keeps the newest verdict on each waiting pod until the API server has it."""

    def __init__(
        self, client: Client, pods: Informer, backoff: Backoff, wall_clock: WallClock
    ) -> None:
        self._client = client
        self._pods = pods
        self._wall_clock = wall_clock
        #: Key -> reason and message.
        self._verdicts: dict[str, tuple[str, str]] = {}
        self._reconciler = Reconciler("scheduler/conditions", self._write, backoff, workers=4)

    async def start(self) -> None:
        await self._reconciler.start()

    async def stop(self) -> None:
        await self._reconciler.stop()

    def say(self, key: str, reason: str, message: str) -> None:
        """The pod waits because of this."""
        self._verdicts[key] = (reason, message)
        self._reconciler.enqueue(key)

    def forget(self, key: str) -> None:
        """The pod waits no longer."""
        self._verdicts.pop(key, None)

    async def _write(self, key: str) -> Result:
        pod = self._pods.get(key)
        verdict = self._verdicts.get(key)
        if pod is None or verdict is None or pod["spec"].get("nodeName"):
            return DONE
        patch = plan_patch(pod, *verdict, self._wall_clock())
        if patch is None:
            return DONE
        namespace, name = meta.split_key(key)
        try:
            await self._client.patch(
                kinds.POD,
                name,
                patch,
                namespace,
                content_type=STRATEGIC_MERGE_PATCH,
                subresource="status",
            )
        except (NotFound, Conflict):
            # It is gone, or another one of its name is there; nothing to be said about it.
            self.forget(key)
        return DONE


def plan_patch(pod: Object, reason: str, message: str, now: float) -> Object | None:
    """The patch of the pod's status, or None if it says so already. `now`: wall clock seconds."""
    found = conditions.of(pod, POD_SCHEDULED) or {}
    if (found.get("status"), found.get("reason"), found.get("message")) == (
        conditions.FALSE,
        reason,
        message,
    ):
        return None
    changed = timestamps.format_time(now)
    if found.get("status") == conditions.FALSE:
        changed = found.get("lastTransitionTime", changed)
    condition = {
        "type": POD_SCHEDULED,
        "status": conditions.FALSE,
        "reason": reason,
        "message": message,
        "lastTransitionTime": changed,
    }
    return {"metadata": {"uid": meta.uid(pod)}, "status": {"conditions": [condition]}}
