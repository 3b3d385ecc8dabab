"""One of several equal processes does the work, and another takes over when it is gone.

The record is a `coordination.k8s.io/v1` Lease. Every `retry_period` a candidate tries to take it
and the leader renews it. A leader that could not renew for `renew_deadline` stops leading, before
the others may take over after `lease_duration` without a renewal:

    retry_period < renew_deadline < lease_duration

A restarted holder is known by its identity and takes its lease back at once. Whoever stops in good
order gives the lease up, so that another one need not wait.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from podling.aiokit.clock import WallClock
from podling.aiokit.tasks import TaskSet
from podling.kube import kinds, lease_record
from podling.kube.client import ANY_VERSION, Client
from podling.kube.errors import ApiError, NotFound
from podling.kube.lease_record import Observed
from podling.kube.meta import Object
from podling.kube.transport import TransportError

log = logging.getLogger(__name__)

FIRST_RETRY: Final = 0.05
"""Seconds before the first retry if it could not even be found out who leads; then doubled. A
cluster that is being started should not wait a whole period for its first leader."""


@dataclass(frozen=True, slots=True)
class LeaderElectionConfig:
    """All times in seconds."""

    lease_name: str
    namespace: str
    identity: str
    """Different for each candidate, the same for one that is started again."""
    lease_duration: float = 15.0
    renew_deadline: float = 10.0
    retry_period: float = 2.0

    def __post_init__(self) -> None:
        if not 0 < self.retry_period < self.renew_deadline < self.lease_duration:
            raise ValueError(
                f"leader election of {self.lease_name}: times must rise from retry period "
                f"({self.retry_period:g} s) over renew deadline ({self.renew_deadline:g} s) "
                f"to lease duration ({self.lease_duration:g} s)"
            )
        if not self.identity:
            raise ValueError(f"leader election of {self.lease_name}: the identity is empty")


class LeaderElector:
    """A component that runs `lead()` while this process is the leader.

    `lead` is cancelled when leadership is lost or the elector stops, and should then give back
    quickly what it has. If it ends by itself, or fails, leadership is given up and tried for again
    after a `retry_period`.
    """

    def __init__(
        self,
        client: Client,
        config: LeaderElectionConfig,
        lead: Callable[[], Awaitable[None]],
        *,
        wall_clock: WallClock,
    ) -> None:
        self._client = client
        self._config = config
        self._lead = lead
        self._wall_clock = wall_clock
        self._observed = Observed()
        self._leading = asyncio.Event()
        #: Whether the last attempt failed without showing who leads, and whether that was logged.
        self._unknown = False
        self._silent = False
        self._tasks = TaskSet(self.name)

    @property
    def name(self) -> str:
        return f"leader-election/{self._config.lease_name}"

    @property
    def is_leader(self) -> bool:
        return self._leading.is_set()

    @property
    def leader(self) -> str:
        """The identity that held the lease when it was last seen; empty if none."""
        return self._observed.holder

    async def wait_leader(self) -> None:
        """Until this process leads."""
        await self._leading.wait()

    async def start(self) -> None:
        """Begin to compete; does not wait for a leader."""
        self._tasks.spawn(self._compete(), name="compete")

    async def stop(self) -> None:
        await self._tasks.close()
        if self._observed.holder == self._config.identity:
            await self._release()

    async def _compete(self) -> None:
        pause = FIRST_RETRY
        while True:
            if await self._try(self._config.renew_deadline):
                await self._be_leader()
            pause = min(self._config.retry_period, pause * 2 if self._unknown else FIRST_RETRY)
            await asyncio.sleep(pause if self._unknown else self._config.retry_period)

    async def _be_leader(self) -> None:
        log.info("%s: %s leads", self.name, self._config.identity)
        self._leading.set()
        async with TaskSet(self.name) as tasks:
            leading = tasks.spawn(self._run_lead(), name="lead")
            renewing = tasks.spawn(self._renew(), name="renew")
            try:
                await asyncio.wait((leading, renewing), return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._leading.clear()
                ended_itself = leading.done()
        log.info("%s: %s leads no longer", self.name, self._config.identity)
        if ended_itself:
            await self._release()

    async def _run_lead(self) -> None:
        try:
            await self._lead()
            log.warning("%s: the leader's work ended by itself", self.name)
        except Exception:
            log.exception("%s: the leader's work failed; giving leadership up", self.name)

    async def _renew(self) -> None:
        """Returns when leadership is lost."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._config.renew_deadline
        while True:
            await asyncio.sleep(min(self._config.retry_period, deadline - loop.time()))
            began = loop.time()
            if await self._try(deadline - began):
                deadline = began + self._config.renew_deadline
            elif self._observed.holder != self._config.identity:
                log.warning("%s: lost the lease to %r", self.name, self._observed.holder)
                return
            if loop.time() >= deadline:
                log.warning("%s: could not renew the lease in time", self.name)
                return

    async def _try(self, seconds: float) -> bool:
        """Take or renew the lease; whether it is ours now, as far as is known in `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                won = await self._take_or_renew()
        except TimeoutError:
            self._complain(f"no answer within {seconds:.2f} s")
        except TransportError as error:
            self._complain(str(error))
        except ApiError as error:
            # Somebody was faster, or the server cannot write now; the next round will show.
            log.debug("%s: %s", self.name, error)
        else:
            self._silent = self._unknown = False
            return won
        self._unknown = True
        return False

    def _complain(self, text: str) -> None:
        """Once per outage."""
        log.log(logging.DEBUG if self._silent else logging.WARNING, "%s: %s", self.name, text)
        self._silent = True

    async def _take_or_renew(self) -> bool:
        config = self._config
        loop = asyncio.get_running_loop()
        if not self.is_leader:
            # To wait for one's turn an older state will do; a write that builds on one conflicts.
            self._observed.see(await self._read(ANY_VERSION), loop.time())
        if not self._observed.may_take(config.identity, loop.time()):
            return False
        lease = self._observed.lease or lease_record.new_lease(config.namespace, config.lease_name)
        wanted = lease_record.claimed(
            lease, config.identity, config.lease_duration, self._wall_clock()
        )
        try:
            self._observed.see(await self._write(wanted), loop.time())
        except ApiError:
            # What is remembered is not what is there.
            self._observed.see(await self._read(), loop.time())
            raise
        return True

    async def _read(self, resource_version: str = "") -> Object | None:
        try:
            return await self._client.get(
                kinds.LEASE,
                self._config.lease_name,
                self._config.namespace,
                resource_version=resource_version,
            )
        except NotFound:
            return None

    async def _write(self, lease: Object) -> Object:
        if lease_record.is_stored(lease):
            return await self._client.update(kinds.LEASE, lease)
        return await self._client.create(kinds.LEASE, lease)

    async def _release(self) -> None:
        lease = self._observed.lease
        if lease is None:
            return
        try:
            async with asyncio.timeout(self._config.retry_period):
                written = await self._write(lease_record.released(lease, self._wall_clock()))
        except (ApiError, TransportError, TimeoutError) as error:
            why = str(error) or type(error).__name__
            log.info("%s: could not give the lease up, it will expire: %s", self.name, why)
        else:
            self._observed.see(written, asyncio.get_running_loop().time())
