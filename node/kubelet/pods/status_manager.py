"""Reports the status of pods to the API server: the newest only, each pod in order.

A status is written as a merge patch that carries the resourceVersion it was made against. So a
write whose answer was lost cannot overtake a later one, and nobody's condition is wiped out: when
somebody else wrote in between, the patch is made anew from what is there.

When a pod that is being deleted has ended, its last status is followed by the deletion for good,
with its uid as a precondition: a new pod of the same name is not touched.
"""

import logging
from dataclasses import dataclass
from random import Random

from podling.aiokit.backoff import Backoff
from podling.kube import kinds, meta
from podling.kube.client import Client
from podling.kube.errors import Conflict, NotFound
from podling.kube.meta import Object
from podling.kube.reconciler import DONE, Reconciler, Result

log = logging.getLogger(__name__)

OWNED = frozenset(
    {
        "phase", "conditions", "message", "reason", "hostIP", "hostIPs", "podIP", "podIPs",
        "startTime", "initContainerStatuses", "containerStatuses",
    }
)  # fmt: skip
"""Fields of a pod's status that the kubelet writes; of the conditions, those it computes."""

UNHURRIED = 0.2
"""Seconds that a status which says only "being made" waits for a better one."""
WORKERS = 8
"""Writes under way at a time."""


@dataclass(slots=True)
class _Report:
    """What is to be said about one pod."""

    pod: Object
    """The newest state of it that is known here."""
    status: Object
    finished: bool
    """Its containers are gone: it may be deleted for good."""
    deleted: bool = False
    written: Object | None = None
    """The status that was written last, and..."""
    answered: Object | None = None
    """...what the API made of it; writing the same again would give the same."""


class StatusManager:
    """A component; `publish` never waits and never raises."""

    name = "status"

    def __init__(self, client: Client, dice: Random) -> None:
        self._client = client
        self._reports: dict[str, _Report] = {}
        self._reconciler = Reconciler(
            "status", self._report, Backoff(first=0.05, cap=5.0, dice=dice), WORKERS
        )

    async def start(self) -> None:
        await self._reconciler.start()

    async def stop(self) -> None:
        await self._reconciler.stop()

    def publish(
        self, pod: Object, status: Object, *, finished: bool = False, urgent: bool = True
    ) -> None:
        """Report `status` of `pod` as the API has it. `finished`: delete it after that."""
        uid = meta.uid(pod)
        report = self._reports.get(uid)
        if report is None:
            report = self._reports[uid] = _Report(pod, status, finished)
        report.pod = meta.newer(report.pod, pod)
        report.status, report.finished = status, finished
        if not finished and not _has_news(report):
            return
        if urgent:
            self._reconciler.enqueue(uid)
        else:
            self._reconciler.enqueue_after(uid, UNHURRIED)

    def newest(self, pod: Object) -> Object:
        """`pod`, or a later state of it that a write of ours was answered with."""
        report = self._reports.get(meta.uid(pod))
        return pod if report is None else meta.newer(report.pod, pod)

    def forget(self, uid: str) -> None:
        """The pod is gone: nothing more is said about it."""
        self._reports.pop(uid, None)

    async def _report(self, uid: str) -> Result:
        report = self._reports.get(uid)
        if report is None or report.deleted:
            return DONE
        try:
            await self._write(report)
            # Not what was read before the write: `publish` may have been called meanwhile.
            if report.finished and self._reports.get(uid) is report:
                await self._delete(report)
        except NotFound:
            self.forget(uid)
        except Conflict:
            await self._read_again(uid, report)
            self._reconciler.enqueue(uid)
        return DONE

    async def _write(self, report: _Report) -> None:
        pod = report.pod
        if not _has_news(report):
            return
        status = report.status
        patch = {
            "metadata": {"uid": meta.uid(pod), "resourceVersion": meta.resource_version(pod)},
            "status": patch_of(pod, status),
        }
        answer = await self._client.patch(
            kinds.POD, meta.name(pod), patch, meta.namespace(pod), subresource="status"
        )
        report.written, report.answered = status, answer.get("status")
        report.pod = meta.newer(report.pod, answer)

    async def _delete(self, report: _Report) -> None:
        pod = report.pod
        await self._client.delete(
            kinds.POD,
            meta.name(pod),
            meta.namespace(pod),
            grace_period_seconds=0,
            uid=meta.uid(pod),
        )
        report.deleted = True

    async def _read_again(self, uid: str, report: _Report) -> None:
        pod = await self._client.get(kinds.POD, meta.name(report.pod), meta.namespace(report.pod))
        if meta.uid(pod) != uid:
            log.info("pod %s was replaced by a new one", meta.key(pod))
            self.forget(uid)
        else:
            report.pod = meta.newer(report.pod, pod)


def _has_news(report: _Report) -> bool:
    if report.written == report.status and report.answered == report.pod.get("status"):
        return False
    return bool(patch_of(report.pod, report.status))


def patch_of(pod: Object, status: Object) -> Object:
    """The merge patch of `pod.status` that makes it say `status`; empty if it does already.

    >>> patch_of({"status": {"phase": "Failed", "reason": "Lost"}}, {"phase": "Running"})
    {'phase': 'Running', 'reason': None}
    """
    old = pod.get("status") or {}
    wanted = dict(status)
    if "conditions" in status:
        wanted["conditions"] = _merged_conditions(old.get("conditions") or [], status["conditions"])
    changes = {key: value for key, value in wanted.items() if old.get(key) != value}
    changes.update((key, None) for key in sorted(OWNED) if key in old and key not in wanted)
    return changes


def _merged_conditions(old: list[Object], ours: list[Object]) -> list[Object]:
    """Other parties' conditions stay where they are, ours are replaced or added."""
    wanted = {entry["type"]: entry for entry in ours}
    merged = [wanted.pop(entry["type"], entry) for entry in old]
    return merged + list(wanted.values())
