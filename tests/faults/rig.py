"""Members under load, and the judgement at the end.

    async with Rig(members, seed) as rig:
        await rig.progress()
        members[0].kill()
        members[0].start()

When the block has ended, everything runs again and has been checked.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from types import TracebackType

import grpc.aio

from podling.controlplane.store.requests import RangeRequest, RangeResponse
from podling.simulate.revision_order import RevisionOrder
from tests.faults.checks import check_leases, check_watch
from tests.faults.etcd_client import EtcdClient, reason
from tests.faults.members import Member, Members
from tests.faults.workload import EVERYTHING, Workload
from tests.waiting import until

READY_SECONDS = 60
"""Until what should come is a failure: processes that read their disk on a busy machine."""
ASK_SECONDS = 10
"""The longest that a single question is given, once shorter ones were not answered."""
DONE = (
    "etcdserver: can only promote a learner member",
    "etcdserver: member not found",
    "etcdserver: Peer URLs already exists",
)
PROBE = RangeRequest(b"k/probe")


async def holds(
    check: Callable[[], Awaitable[bool]],
    what: str,
    describe: Callable[[], str] = str,
    *,
    pause: float = 0.05,
) -> None:
    """Return once `check` says yes."""
    try:
        async with asyncio.timeout(READY_SECONDS):
            while not await check():
                await asyncio.sleep(pause)
    except TimeoutError:
        raise AssertionError(f"not within {READY_SECONDS} s: {what}\n{describe()}") from None


class Rig:
    """Load while the block runs; when it ends, everything is set right, awaited and judged."""

    def __init__(self, members: Members, seed: int, *, writers: int = 4) -> None:
        """Members that are not running at the end are started, unless in `lost`."""
        self.members = members
        self.seed = seed
        self.lost = set[str]()
        """Members that are not expected to come back."""
        self.order = RevisionOrder()
        self._writers = writers
        self._stack = contextlib.AsyncExitStack()
        self._clients: dict[str, EtcdClient] = {}
        self._workload: Workload | None = None
        self.operations = 0
        """Judged so far."""

    @property
    def workload(self) -> Workload:
        assert self._workload is not None
        return self._workload

    def client(self, member: Member) -> EtcdClient:
        return self._clients[member.name]

    async def __aenter__(self) -> "Rig":
        for member in self.members:
            await self.connect(member)
        self._workload = Workload(list(self._clients.values()), self.seed, writers=self._writers)
        try:
            await self.ready()
            self._workload.start()
        except BaseException as failure:
            failure.add_note(self._told())
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                await self.judge()
            elif error is not None:
                error.add_note(self._told())
        except BaseException as failure:
            failure.add_note(self._told())
            raise
        finally:
            await self.workload.close()
            await self._stack.aclose()

    def _told(self) -> str:
        return f"seed {self.seed}\n{self.members.said()}"

    async def ready(self, *members: Member, seconds: float = READY_SECONDS) -> None:
        """Wait until these members, or all, answer linearizable reads."""
        for member in members or [each for each in self.members if each.name not in self.lost]:
            await self._ask(member, PROBE, seconds)

    async def connect(self, member: Member) -> EtcdClient:
        """Make a client for a member, which the load does not use."""
        client = await self._stack.enter_async_context(EtcdClient(member.place.client))
        self._clients[member.name] = client
        return client

    async def leader(self) -> Member:
        """Who leads, as the leader itself says."""
        leaders: list[Member] = []

        async def ask() -> bool:
            for member in self.members:
                with contextlib.suppress(grpc.aio.AioRpcError):
                    status = await self.client(member).status()
                    if status.leader == status.header.member_id:
                        leaders.append(member)
                        return True
            return False

        await holds(ask, "somebody leads")
        return leaders[0]

    async def member_id(self, asked: Member, peer_url: str) -> int:
        """Of the member with this peer URL, as another one says."""
        ids: list[int] = []

        async def look() -> None:
            ids.append(await self.client(asked).member_id(peer_url))

        await self.until(look)
        return ids[-1]

    async def until(self, change: Callable[[], Awaitable[object]]) -> None:
        """Ask until it is answered; what was done without an answer may be refused then."""
        refused: list[str] = []

        async def ask() -> bool:
            try:
                await change()
            except grpc.aio.AioRpcError as error:
                refused.append(reason(error))
                return (error.details() or "") in DONE
            return True

        await holds(ask, "a change is made", lambda: refused[-1] if refused else "no answer")

    async def progress(self, operations: int = 50) -> None:
        """Wait until the load goes on."""
        await self.workload.make_progress(operations, READY_SECONDS)

    async def _ask(
        self, member: Member, request: RangeRequest, seconds: float = READY_SECONDS
    ) -> RangeResponse:
        """A linearizable read, as often as it takes."""
        last: BaseException | None = None
        patience = self.client(member).timeout
        try:
            async with asyncio.timeout(seconds):
                while True:
                    assert member.running, f"{member.name} has ended"
                    try:
                        answer: RangeResponse = await self.client(member).do(request, patience)
                        return answer
                    except grpc.aio.AioRpcError as error:
                        last = error
                    patience = min(2 * patience, ASK_SECONDS)
                    await asyncio.sleep(0.05)
        except TimeoutError:
            what = reason(last) if last is not None else "no answer"
            raise AssertionError(f"{member.name} does not serve reads: {what}") from None

    async def judge(self) -> None:
        """Let everything come to rest, and check what was seen since the last time."""
        for member in self.members:
            if member.paused:
                member.resume()
            if not member.running and member.name not in self.lost:
                member.start()
        await self.ready()
        await self.workload.stop()
        there = [each for each in self.members if each.name not in self.lost]
        workload = self.workload
        await self._await_expiry(there[0])
        final = workload.recorder.invoke("last", EVERYTHING)
        answer = await self._ask(there[-1], EVERYTHING)
        workload.recorder.returned(final, answer)
        await self._await_watches(answer.revision)
        history = workload.recorder.history()
        # What was left under way may happen even now: it belongs to the next part.
        watches = [watched.take(answer.revision) for watched in workload.watched]
        events = [event for watched in watches for event in watched.events]
        first = self.order.timeline.revision + 1
        verdict = self.order.judge(history, events)
        assert verdict, str(verdict)
        for watched in watches:
            check_watch(watched, self.order.timeline, first)
        check_leases(workload.leases, watches)
        await self._compare_hashes(there, answer.revision)
        self.operations += len(history)
        workload.forget()

    async def _await_expiry(self, member: Member) -> None:
        """Leases that nobody renews are revoked, and their keys with them."""

        async def gone() -> bool:
            return not (await self._ask(member, RangeRequest(b"l/", b"l0"))).total

        await holds(gone, "all leases have expired")

    async def _await_watches(self, revision: int) -> None:
        for watched in self.workload.watched:
            await until(
                lambda: watched.next_revision > revision,  # noqa: B023
                f"the {watched.name} is told of revision {revision}",
                lambda: f"the next is {watched.next_revision}",  # noqa: B023
                READY_SECONDS,
            )

    async def _compare_hashes(self, members: list[Member], revision: int) -> None:
        """At one revision all members have the same, history included."""
        compacted: set[int] = set()
        while len(compacted) != 1:  # a compaction of unknown outcome may come between
            hashes, compacted = {}, set()
            for member in members:
                await self._ask(member, PROBE)  # it has applied everything
                answer = await self.client(member).hash_kv(revision, ASK_SECONDS)
                hashes[member.name] = answer.hash
                compacted.add(answer.compact_revision)
        assert len(set(hashes.values())) == 1, f"members differ at revision {revision}: {hashes}"
