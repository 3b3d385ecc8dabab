"""Carries out the schedule of one run, and says what came of it.

First comes what the schedule says; anything may happen to anybody. Then all has to end well
(`settling`). After every callback the invariants are looked at; clients are judged at the end.
"""

import asyncio
import gc
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from podling.simulate.event_loop import Stuck, VirtualLoop
from podling.simulate.histories import Operation
from podling.simulate.revision_order import check_revisions
from podling.simulate.store.administering import ADMINISTERING
from podling.simulate.store.faults import FAULTS
from podling.simulate.store.member import Honest
from podling.simulate.store.reconfiguring import RECONFIGURING
from podling.simulate.store.schedule import Schedule
from podling.simulate.store.settling import settle, stop
from podling.simulate.store.traces import Violation
from podling.simulate.store.workload import WORKLOAD
from podling.simulate.store.world import World

#: Everything that a schedule may say.
VERBS: Mapping[str, Callable[..., None]] = {
    **FAULTS,
    **RECONFIGURING,
    **WORKLOAD,
    **ADMINISTERING,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run."""

    schedule: Schedule
    violation: Violation | None
    trace: Sequence[str]
    counts: Counter[str]
    history: Sequence[Operation]
    seconds: float
    """Of true time."""


class Director:
    """One run."""

    def __init__(self, schedule: Schedule, plant: Honest | None = None) -> None:
        self._world = World(schedule, plant)
        self._by_loop = {each.name: each for each in self._world.members.values()}

    def run(self) -> Outcome:
        """Carry it out, up to the end or to the first violation."""
        world = self._world
        collecting = gc.isenabled()
        gc.disable()
        try:
            direction = world.loop.create_task(self._direct(), name="direct")
            world.time.run_until(lambda: direction.done(), self._look)
            direction.result()
            self._judge()
        except Violation:
            pass
        except Stuck as error:
            world.trace.fail("time goes on", str(error))
        finally:
            world.trace.note("end", f"after {world.time.callbacks} callbacks")
            # What the dead still do when they are let go of is not part of the run.
            outcome = self._outcome()
            world.time.close()
            if collecting:
                gc.enable()
        return outcome

    def _outcome(self) -> Outcome:
        world = self._world
        return Outcome(
            world.schedule,
            world.trace.violation,
            tuple(world.trace.lines),
            Counter(world.trace.counts),
            world.clients.recorder.history(),
            world.time.now,
        )

    async def _direct(self) -> None:
        world = self._world
        for member in world.members.values():
            member.start()
        for event in world.schedule.events:
            await asyncio.sleep(event.at - world.time.now)
            world.trace.note("event", str(event))
            VERBS[event.verb](world, **event.details)
        await settle(world)
        await stop(world)

    def _judge(self) -> None:
        """Can what clients saw be explained by one order of what they did?"""
        world = self._world
        events = [event for at in world.history.events.values() for event in at]
        verdict = check_revisions(world.clients.recorder.history(), events)
        if not verdict:
            world.trace.fail("linearizable", str(verdict))

    def _look(self, loop: VirtualLoop) -> None:
        """After each callback: does everything hold still?"""
        world, member = self._world, self._by_loop.get(loop.name)
        if member is not None and member.loop is loop and member.server is not None:
            node = member.server.replica.node
            if node is not None:
                world.raft.look(member.number, node.raft)
                if world.history.waits_to_settle(member.number):
                    world.history.settle(member.number, node.raft.log.snapshot.index)
            if member.disk.is_cut:
                member.end(power=True)
        if world.trace.violation is not None:
            raise world.trace.violation
