"""Forgets history by a policy, on the member that leads."""

import asyncio
import logging
from collections.abc import Callable

from podling.aiokit.tasks import OnDeath, TaskSet
from podling.controlplane.store import compaction_policy, errors
from podling.controlplane.store import requests as rq
from podling.controlplane.store.compaction_policy import Policy
from podling.controlplane.store.store import Store

log = logging.getLogger(__name__)


class Compactor:
    """A component, to be started after the store; every member has one, and the leader's acts."""

    name = "compactor"

    def __init__(self, mode: str, retention: float, store: Store, on_death: OnDeath) -> None:
        """`mode` and `retention` as in `compaction_policy`."""
        self._new_policy: Callable[[float], Policy | None] = lambda now: compaction_policy.policy(
            mode, retention, now
        )
        self._store = store
        self._tasks = TaskSet("compactor", on_death)

    async def start(self) -> None:
        policy = self._new_policy(asyncio.get_running_loop().time())
        if policy is not None:
            self._tasks.spawn(self._run(policy), name="run")

    async def stop(self) -> None:
        await self._tasks.close()

    async def _run(self, policy: Policy) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                status = self._store.status()
            except errors.Stopped:
                return
            target = policy.look(loop.time(), status.revision, leading=status.replica.is_leader)
            if target and await self._compact(target):
                policy.compacted(loop.time(), target)
            await asyncio.sleep(policy.interval)

    async def _compact(self, revision: int) -> bool:
        """Whether history up to `revision` is gone now."""
        try:
            root = self._store.auth.root()
            await self._store.compact(rq.CompactionRequest(revision), user=root)
        except errors.Compacted:
            return True
        except errors.StoreError as error:
            log.warning("history was not compacted to revision %d: %s", revision, error)
            return False
        log.info("history up to revision %d is forgotten", revision)
        return True
