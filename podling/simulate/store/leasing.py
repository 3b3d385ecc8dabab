"""A client that holds a lease and lets it go."""

import asyncio

from podling.controlplane.store import requests as rq
from podling.simulate.store.member import Member
from podling.simulate.store.world import World


async def hold_lease(
    world: World, name: str, member: Member, number: int, ttl: int, key: bytes, keep: float
) -> None:
    """Grant it, put a key under it, renew it three times in its time-to-live, at any member that
    answers, for `keep` seconds; then leave it to expire."""
    granted = await world.clients.do(name, member, rq.LeaseGrantRequest(ttl, number))
    if granted is None:
        return
    world.clients.recorder.may_happen(f"{name}-expiry", rq.LeaseRevokeRequest(number))
    await world.clients.do(name, member, rq.PutRequest(key, name.encode(), lease=number))
    members = list(world.members.values())
    end = world.time.now + keep
    while world.time.now < end:
        await asyncio.sleep(granted.ttl / 3)
        renewed = await world.clients.do(name, member, rq.LeaseKeepAliveRequest(number))
        if renewed is None:
            member = members[member.number % len(members)]
        elif renewed.ttl == 0:
            return
