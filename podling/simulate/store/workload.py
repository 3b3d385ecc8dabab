"""What clients do, each under the verb by which a schedule names it."""

from collections.abc import Callable, Mapping

from podling.controlplane.store import requests as rq
from podling.simulate.store.leasing import hold_lease
from podling.simulate.store.rights import ROOT
from podling.simulate.store.watching import Watching
from podling.simulate.store.world import Target, World

EVERYTHING = (b"\0", b"\0")


def put(
    world: World, member: Target, key: str, value: str, user: str = ROOT, size: int = 0
) -> None:
    """The value is made so many bytes long at least."""
    _ask(world, member, rq.PutRequest(key.encode(), value.ljust(size, ".").encode()), user)


def get(world: World, member: Target, key: str, user: str = ROOT) -> None:
    """A linearizable read."""
    _ask(world, member, rq.RangeRequest(key.encode()), user)


def peek(world: World, member: Target, key: str, user: str = ROOT) -> None:
    """A read that is content with what the member happens to know."""
    _ask(world, member, rq.RangeRequest(key.encode(), serializable=True), user)


def read_all(world: World, member: Target, user: str = ROOT) -> None:
    _ask(world, member, rq.RangeRequest(*EVERYTHING), user)


def delete(world: World, member: Target, key: str, user: str = ROOT) -> None:
    _ask(world, member, rq.DeleteRangeRequest(key.encode()), user)


def swap(world: World, member: Target, key: str, value: str) -> None:
    """Read a key, then set it if nobody else has meanwhile."""
    target = world.target(member)
    if target is None:
        return
    at, name = target, world.client()

    async def work() -> None:
        found = await world.clients.do(name, at, rq.RangeRequest(key.encode()))
        if found is None:
            return
        revision = found.kvs[0].mod_revision if found.kvs else 0
        compare = rq.Compare(key.encode(), rq.CompareTarget.MOD, rq.CompareResult.EQUAL, revision)
        success = [rq.PutRequest(key.encode(), value.encode())]
        failure = [rq.RangeRequest(key.encode())]
        await world.clients.do(name, at, rq.TxnRequest([compare], success, failure))

    world.spawn(work(), name)


def put_both(
    world: World, member: Target, first: str, second: str, value: str, user: str = ROOT
) -> None:
    """Two keys in one transaction, if the first exists."""
    keys = (first.encode(), second.encode())
    compare = rq.Compare(keys[0], rq.CompareTarget.VERSION, rq.CompareResult.GREATER, 0)
    success = [rq.PutRequest(key, value.encode()) for key in keys]
    failure = [rq.PutRequest(keys[0], value.encode())]
    _ask(world, member, rq.TxnRequest([compare], success, failure), user)


def compact(world: World, member: Target, keep: int) -> None:
    """Forget all but the last `keep` revisions."""
    if world.history.revision > keep:
        _ask(world, member, rq.CompactionRequest(world.history.revision - keep))


def lease(world: World, member: Target, number: int, ttl: int, key: str, keep: float) -> None:
    """Grant a lease, attach a key, keep it alive for `keep` seconds, then leave it."""
    target = world.target(member)
    if target is not None:
        name = world.client()
        world.spawn(hold_lease(world, name, target, number, ttl, key.encode(), keep), name)


def revoke(world: World, member: Target, number: int) -> None:
    world.leases.revoked_by_client(number)
    _ask(world, member, rq.LeaseRevokeRequest(number))


def watch(world: World, member: Target, key: str, back: int) -> None:
    """Watch a key (or `*`) from `back` revisions ago, or from now on if that is 0."""
    target = world.target(member)
    if target is None:
        return
    span = EVERYTHING if key == "*" else (key.encode(), b"")
    start = max(world.history.revision - back, 1) if back else 0
    watching = Watching(world.client(), span, start, world.clients, world.history, world.trace)
    world.watches.append(watching)
    world.spawn(watching.run(list(world.members.values()), target), watching.name)


def _ask(world: World, member: Target, request: object, user: str = ROOT) -> None:
    target = world.target(member)
    if target is not None:
        name = world.client()
        world.spawn(world.clients.do(name, target, request, world.login(user)), name)


WORKLOAD: Mapping[str, Callable[..., None]] = {
    each.__name__: each
    for each in (put, get, peek, read_all, delete, swap, put_both, compact, lease, revoke, watch)
}
