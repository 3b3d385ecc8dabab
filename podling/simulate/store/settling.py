"""How every run has to end: without faults, soon all is well again.

Writes work at every member, all have the same state, every watch has been told everything.
"""

import asyncio
from collections.abc import Callable

from podling.controlplane.store import requests as rq
from podling.simulate.store.administering import make_room
from podling.simulate.store.faults import end_faults
from podling.simulate.store.member import Member
from podling.simulate.store.world import World

SETTLING = 60.0
"""Seconds in which all must be well again once there are no faults any more."""
RETRY = 0.25
ATTEMPTS = 100


async def settle(world: World) -> None:
    """Take every fault away, start everybody, and wait until all is well."""
    world.trace.note("settle")
    end_faults(world)
    await _until(world, _all_started, "all have started")
    for number in sorted(world.membership().voters):
        await _write_at(world, world.members[number])
    await _until(world, _all_equal, "all have applied the same")
    for member in world.present():
        if member.server is not None:
            world.history.compare(member.number, world.history.last, member.server.machine)
    await _until(world, _all_told, "every watch has been told everything")
    await _until(
        world, lambda world: not world.leases.alive, "leases that nobody renews have expired"
    )


async def stop(world: World) -> None:
    """End all members as SIGTERM does."""
    await _until(world, _all_stopped, "all have stopped")


async def _write_at(world: World, member: Member) -> None:
    for attempt in range(ATTEMPTS):
        # A change of membership that was under way may have ended meanwhile.
        _all_started(world)
        if member.number not in world.membership().voters:
            return
        if attempt and world.schedule.settings.quota_bytes:
            await make_room(world, member)
        request = rq.PutRequest(b"final", b"%d-%d" % (member.number, attempt))
        if await world.clients.do("final", member, request) is not None:
            return
        await asyncio.sleep(RETRY)
    world.trace.fail("all is well without faults", f"{member.name} takes no writes")


def _all_started(world: World) -> bool:
    for member in world.present():
        if member.down:
            member.join(world.membership())
            member.start()
    return all(member.up for member in world.present())


def _all_equal(world: World) -> bool:
    if not _all_started(world):
        return False
    last = world.history.last
    return all(world.history.position(each.number) == last for each in world.present())


def _all_told(world: World) -> bool:
    return all(watch.is_complete for watch in world.watches)


def _all_stopped(world: World) -> bool:
    for member in world.members.values():
        # One that was removed may have been about to come back.
        if member.up and member.loop is not None:
            member.up = False
            member.loop.create_task(member.stop(), name="stop")
    return all(member.down for member in world.members.values())


async def _until(world: World, condition: Callable[[World], bool], what: str) -> None:
    deadline = world.time.now + SETTLING
    while not condition(world):
        if world.time.now > deadline:
            world.trace.fail("all is well without faults", f"not in {SETTLING} s: {what}")
        await asyncio.sleep(RETRY)
