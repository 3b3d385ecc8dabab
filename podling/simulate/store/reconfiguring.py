"""Changes of membership, each under the verb by which a schedule names it.

A member is added first and started then, as operators do it; one that was removed ends by itself.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from podling.controlplane.replica.errors import MemberExists, MembershipRefused, ReplicaError
from podling.controlplane.replica.members.membership import Member as Listed
from podling.controlplane.replica.members.membership import Membership
from podling.controlplane.replica.replica import Replica
from podling.simulate.store.clients import Lost, Unavailable
from podling.simulate.store.member import Member, url_of
from podling.simulate.store.world import Target, World

ATTEMPTS = 5
RETRY = 0.5
"""Seconds until an operator tries again."""


def add(world: World, member: Target, number: int, *, learner: bool) -> None:
    """Ask a member to add another one, then start that."""
    listed = Listed("", (url_of(number),), learner=learner)

    async def change(replica: Replica) -> Membership:
        try:
            return await replica.add_member(number, listed)
        except MemberExists:
            # The attempt before was successful after all.
            return replica.membership

    def start(membership: Membership) -> None:
        if number in membership.members:
            world.members[number].join(membership)

    _change(world, member, f"add {number}", change, start)


def remove(world: World, member: Target, number: Target) -> None:
    removed = world.target(number)
    if removed is None:
        return

    _change(
        world,
        member,
        f"remove {removed.number}",
        lambda replica: replica.remove_member(removed.number),
    )


def promote(world: World, member: Target, number: int) -> None:
    """Let a learner vote."""
    _change(world, member, f"promote {number}", lambda replica: replica.promote_member(number))


def move(world: World, member: Target, number: int, url: str) -> None:
    """A member is said to be reached elsewhere."""
    _change(world, member, f"move {number}", lambda replica: replica.update_member(number, (url,)))


RECONFIGURING: Mapping[str, Callable[..., None]] = {
    each.__name__: each for each in (add, remove, promote, move)
}


def _change(
    world: World,
    member: Target,
    what: str,
    change: Callable[[Replica], Awaitable[Membership]],
    then: Callable[[Membership], None] = lambda membership: None,
) -> None:
    target = world.target(member)
    if target is not None:
        world.spawn(_insist(world, target, what, change, then), world.client())


async def _insist(
    world: World,
    member: Member,
    what: str,
    change: Callable[[Replica], Awaitable[Membership]],
    then: Callable[[Membership], None],
) -> None:
    """Ask until it is done or refused, or an operator's patience is at its end."""
    for _ in range(ATTEMPTS):
        try:
            done: Membership = await world.clients.ask(
                member, lambda server: change(server.replica)
            )
        except MembershipRefused as error:
            world.trace.note("change-refused", f"{what} at {member.name}: {error!r}")
            return
        except (ReplicaError, Unavailable, Lost) as error:
            world.trace.note("change-failed", f"{what} at {member.name}: {error!r}")
            await asyncio.sleep(RETRY)
            continue
        world.trace.note("changed", f"{what} at {member.name}: {sorted(done.members)}")
        world.learn(done)
        then(done)
        return
