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
        peer_urls: Sequence[str] = (),
    ) -> None:
        """`peer_urls`: where the others should find this member, if it was told; it says so if they
        look elsewhere, and changes nothing."""
        self._members = members
        self._member_name = member_name
        self._client_urls = tuple(client_urls)
        self._peer_urls = frozenset(peer_urls)
        self._tasks = TaskSet(f"{member_name}/publication", fatal)

    @property
    def name(self) -> str:
        return "publication"

    async def start(self) -> None:
        self._tasks.spawn(self._publish(), name="publish")

    async def stop(self) -> None:
        await self._tasks.close()

    async def _publish(self) -> None:
        warned = False
        while True:
            try:
                await self._members.publish(self._member_name, self._client_urls)
                if not warned:
                    self._warn_if_elsewhere()
                return
            except errors.StoreError as error:
                log.info("the other members were not told of this one yet: %s", error)
            # That may be why.
            warned = warned or self._warn_if_elsewhere()
            await asyncio.sleep(RETRY_INTERVAL)

    def _warn_if_elsewhere(self) -> bool:
        """Whether the list of members has other peer URLs for this one."""
        members = self._members
        me = members.now.members.get(members.own_id)
        if me is None or not self._peer_urls or self._peer_urls == frozenset(me.peer_urls):
            return False
        wanted = ",".join(sorted(self._peer_urls))
        log.warning(
            "the other members look for %s at %s, and not at %s, which its flags say; what the "
            "flags say counts at a first start only: etcdctl member update %x --peer-urls=%s",
            self._member_name, ",".join(me.peer_urls), wanted, members.own_id, wanted,
        )  # fmt: skip
        return True
