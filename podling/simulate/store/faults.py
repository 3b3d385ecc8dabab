"""What goes wrong, each under the verb by which a schedule names it."""

from collections.abc import Callable, Mapping

from podling.controlplane.store.errors import StoreError
from podling.controlplane.store.store import Store
from podling.simulate.network import Delay, Trouble
from podling.simulate.store.world import Target, World


def crash(world: World, member: Target, *, power: bool, after: int = 0) -> None:
    """Killed, or without power; at once, or after so many more callbacks on its loop."""
    target = world.target(member)
    if target is None or target.loop is None:
        return
    if after:
        target.loop.after(after, lambda: target.end(power=power))
    else:
        target.end(power=power)


def cut_power(world: World, member: Target, steps: int) -> None:
    """The power goes after so many more steps of its disk, in the middle of a write perhaps."""
    target = world.target(member)
    if target is not None and not target.down:
        target.disk.cut_after(steps)


def restart(world: World, member: Target) -> None:
    """Start it, if it is down."""
    target = world.target(member)
    if target is not None and target.down:
        target.start()


def stop(world: World, member: Target) -> None:
    """End it as SIGTERM does."""
    target = world.target(member)
    if target is not None and target.up and target.loop is not None:
        target.loop.create_task(target.stop(), name="stop")


def pause(world: World, member: Target, seconds: float) -> None:
    """It does nothing for a while, as if stopped by SIGSTOP."""
    target = world.target(member)
    if target is not None and (loop := target.loop) is not None:
        loop.pause()
        world.later(seconds, loop.resume)


def drift(world: World, member: Target, rate: float) -> None:
    """Its clock runs at another rate from now on."""
    target = world.target(member)
    if target is not None:
        target.rate = rate
        if target.loop is not None:
            target.loop.set_rate(rate)


def isolate(world: World, member: Target) -> None:
    """Cut it off from everybody."""
    target = world.target(member)
    if target is not None:
        world.network.isolate(target.number)


def partition(world: World, side: str, *, both_ways: bool) -> None:
    """Part the members `side` (such as `1,3`) from the others; or only what they send is lost."""
    inside = {int(number) for number in side.split(",")}
    for sender in sorted(inside):
        for receiver in sorted(world.members.keys() - inside):
            world.network.cut(sender, receiver)
            if both_ways:
                world.network.cut(receiver, sender)


def cut(world: World, sender: int, receiver: int) -> None:
    """One way between two members."""
    world.network.cut(sender, receiver)


def heal(world: World) -> None:
    """Open every way again."""
    world.network.heal()


def trouble(world: World, lost: float, doubled: float, late: float) -> None:
    """From now on messages are lost, doubled and overtaken to this share."""
    world.network.trouble = Trouble(lost, doubled, late)


def slow_way(world: World, sender: int, receiver: int, most: float) -> None:
    """Messages on one way take up to so many seconds."""
    world.network.delays[sender, receiver] = Delay(0.0, most)


def lose_answers(world: World, share: float) -> None:
    """Clients never hear of this share of what they ask."""
    world.clients.lost_answers = share


def slow_disk(world: World, member: Target, most: float) -> None:
    """Each job of its disk takes up to so many seconds."""
    target = world.target(member)
    if target is not None:
        target.disk.latency = Delay(0.0, most)


def fail_sync(world: World, member: Target) -> None:
    """Its next sync fails."""
    target = world.target(member)
    if target is not None:
        target.disk.failing_syncs = 1
        target.disk_failed = True


def fill_disk(world: World, member: Target, room: int) -> None:
    """Its disk has room for so many more bytes."""
    target = world.target(member)
    if target is not None:
        target.disk.capacity = target.disk.used + room
        target.disk_failed = True


def empty_disk(world: World, member: Target) -> None:
    """Somebody has made room."""
    target = world.target(member)
    if target is not None:
        target.disk.capacity = None


def flip_bit(world: World, member: Target) -> None:
    """A bit of its files is not what was written there; noticed when it is read, at a start mostly.

    The member refuses to start then, or can do without what is damaged.
    """
    target = world.target(member)
    if target is not None and (damaged := target.disk.flip_any_bit()) is not None:
        target.disk_damaged = True
        world.trace.note("damage", f"{damaged[0]} at byte {damaged[1]}")


def mend(world: World, member: Target) -> None:
    """Its files are restored from a copy of its own, and it is started."""
    target = world.target(member)
    if target is not None:
        target.mend()
        target.start()


def transfer(world: World, member: Target) -> None:
    """The leader is asked to hand over to a member."""
    target, leader = world.target(member), world.target("leader")
    if target is None or leader is None or leader.server is None or leader.loop is None:
        return
    leader.loop.create_task(_hand_over(leader.server.store, target.number), name="hand-over")


async def _hand_over(store: Store, number: int) -> None:
    try:
        await store.move_leader(number)
    except StoreError:
        # Nobody promised that it works while everything else goes wrong.
        return


def end_faults(world: World) -> None:
    """Make everything good; who is down stays down."""
    heal(world)
    trouble(world, 0.0, 0.0, 0.0)
    world.network.delays.clear()
    world.clients.lost_answers = 0.0
    for member in world.members.values():
        member.disk.capacity = None
        member.disk.failing_syncs = 0
        member.disk.cut_after(None)
        member.mend()
        member.disk.latency = Delay(*world.schedule.settings.disk_latency)
        if member.loop is not None:
            member.loop.resume()
            member.loop.after(0, None)


FAULTS: Mapping[str, Callable[..., None]] = {
    each.__name__: each
    for each in (
        crash, cut_power, restart, stop, pause, drift, isolate, partition, cut, heal, trouble,
        slow_way, lose_answers, slow_disk, fail_sync, fill_disk, empty_disk,
        flip_bit, mend, transfer,
    )
}  # fmt: skip
