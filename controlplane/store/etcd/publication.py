"""Tells the other members what this one is called and where clients reach it (etcd: publishV3)."""

import asyncio
import logging
from collections.abc import Sequence

from podling.aiokit.tasks import OnDeath, TaskSet
from podling.controlplane.store import errors
from podling.controlplane.store.cluster_members import ClusterMembers

log = logging.getLogger(__name__)

RETRY_INTERVAL = 1.0
"""Seconds between attempts; each waits for a leader itself."""


class Publication:
    """A component; started after the store."""

    def __init__(
        self,
        members: ClusterMembers,
        member_name: str,
        client_urls: Sequence[str],
        fatal: OnDeath,
    ) -> None:
        self._members = members
        self._member_name = member_name
        self._client_urls = tuple(client_urls)
        self._tasks = TaskSet(f"{member_name}/publication", fatal)

    @property
    def name(self) -> str:
        return "publication"

    async def start(self) -> None:
        self._tasks.spawn(self._publish(), name="publish")

    async def stop(self) -> None:
        await self._tasks.close()

    async def _publish(self) -> None:
        while True:
            try:
                await self._members.publish(self._member_name, self._client_urls)
                return
            except errors.StoreError as error:
                log.info("the other members were not told of this one yet: %s", error)
            await asyncio.sleep(RETRY_INTERVAL)
