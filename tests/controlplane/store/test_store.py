"""The façade over real replicas: what is acknowledged, refused, expired and watched."""

import asyncio

import pytest

from podling.controlplane.store import errors
from podling.controlplane.store import requests as rq
from podling.controlplane.store.config import StoreConfig
from podling.controlplane.store.key_values import Event
from podling.controlplane.store.store import RANGE_SLICE, Store
from podling.controlplane.store.watch_streams import WatchStream
from tests.controlplane.store.members import PATIENCE, Members, insist
from tests.waiting import until

EVERYTHING = rq.RangeRequest(b"\0", b"\0")


async def put(store: Store, key: bytes, value: bytes = b"1", lease: int = 0) -> int:
    return (await store.put(rq.PutRequest(key, value, lease))).revision


async def value(store: Store, key: bytes) -> bytes | None:
    kvs = (await store.range(rq.RangeRequest(key))).kvs
    return kvs[0].value if kvs else None


async def watch(store: Store, key: bytes, start_revision: int = 0) -> WatchStream:
    stream = store.watch_stream()
    stream.create(rq.WatchCreateRequest(key, start_revision=start_revision, prev_kv=True))
    assert (await stream.next()).created
    return stream


async def response(stream: WatchStream) -> rq.WatchResponse:
    async with asyncio.timeout(PATIENCE):
        return await stream.next()


async def test_what_is_put_is_read_back(member: Store) -> None:
    revision = await put(member, b"a", b"1")
    read = await member.range(rq.RangeRequest(b"a"))
    assert (read.kvs[0].value, read.kvs[0].mod_revision, read.revision) == (
        b"1",
        revision,
        revision,
    )


REFUSED: list[tuple[str, rq.PutRequest | rq.TxnRequest | rq.DeleteRangeRequest, type]] = [
    ("empty key", rq.PutRequest(b"", b"1"), errors.EmptyKey),
    ("empty key deleted", rq.DeleteRangeRequest(b""), errors.EmptyKey),
    ("unknown lease", rq.PutRequest(b"a", b"1", 99), errors.LeaseNotFound),
    (
        "value beside ignore_value",
        rq.PutRequest(b"a", b"1", ignore_value=True),
        errors.ValueProvided,
    ),
    (
        "lease beside ignore_lease",
        rq.PutRequest(b"a", b"", 5, ignore_lease=True),
        errors.LeaseProvided,
    ),
    ("value of nothing", rq.PutRequest(b"a", ignore_value=True), errors.KeyNotFound),
    ("too large", rq.PutRequest(b"a", b"x" * 1_600_000), errors.RequestTooLarge),
    (
        "too many operations",
        rq.TxnRequest((), [rq.PutRequest(b"%d" % number) for number in range(129)]),
        errors.TooManyOps,
    ),
    ("twice", rq.TxnRequest((), [rq.PutRequest(b"a"), rq.PutRequest(b"a")]), errors.DuplicateKey),
    (
        "put and deleted",
        rq.TxnRequest((), [rq.DeleteRangeRequest(b"a", b"c"), rq.PutRequest(b"b")]),
        errors.DuplicateKey,
    ),
]


@pytest.mark.parametrize(
    ("request_", "error"), [each[1:] for each in REFUSED], ids=[each[0] for each in REFUSED]
)
async def test_a_refused_write_changes_nothing(
    member: Store, request_: rq.PutRequest | rq.TxnRequest | rq.DeleteRangeRequest, error: type
) -> None:
    before = await member.range(EVERYTHING)
    with pytest.raises(error):
        if isinstance(request_, rq.PutRequest):
            await member.put(request_)
        elif isinstance(request_, rq.TxnRequest):
            await member.txn(request_)
        else:
            await member.delete_range(request_)
    assert await member.range(EVERYTHING) == before


async def test_a_transaction_that_only_reads_is_not_replicated(member: Store) -> None:
    await put(member, b"a")
    before = member.status().replica.commit_index
    found = await member.txn(rq.TxnRequest((), [rq.RangeRequest(b"a"), EVERYTHING]))
    assert found.succeeded
    assert member.status().replica.commit_index == before


async def test_an_expired_lease_deletes_its_keys_for_watchers_too(
    members: Members, member: Store
) -> None:
    members.clock.hold()
    lease = await member.lease_grant(rq.LeaseGrantRequest(1))
    await put(member, b"a", b"1", lease.id)
    stream = await watch(member, b"a")
    members.clock.advance(1.1)
    (event,) = (await response(stream)).events
    assert event.deleted
    assert event.previous is not None
    assert (event.previous.value, event.previous.lease) == (b"1", lease.id)
    assert await value(member, b"a") is None
    assert (await member.lease_time_to_live(lease.id)).ttl == -1


async def test_a_lease_that_is_kept_alive_does_not_expire(members: Members, member: Store) -> None:
    members.clock.hold()
    kept, left = [await member.lease_grant(rq.LeaseGrantRequest(1)) for _ in range(2)]
    await put(member, b"kept", b"1", kept.id)
    await put(member, b"left", b"1", left.id)
    gone = await watch(member, b"left")
    for _ in range(3):
        members.clock.advance(0.4)
        assert (await member.lease_keep_alive(rq.LeaseKeepAliveRequest(kept.id))).ttl == 1
    (event,) = (await response(gone)).events
    assert event.deleted
    assert await value(member, b"kept") == b"1"
    found = await member.lease_time_to_live(kept.id)
    assert (found.granted_ttl, list(found.keys)) == (1, [b"kept"])
    assert (await member.lease_leases()).ids == [kept.id]


async def test_a_lease_lasts_at_least_the_minimum(members: Members) -> None:
    (server,) = await members.start(1, StoreConfig(min_lease_ttl=7))
    assert (await server.store.lease_grant(rq.LeaseGrantRequest(1))).ttl == 7


async def test_keeping_an_unknown_lease_alive_tells_so(member: Store) -> None:
    assert (await member.lease_keep_alive(rq.LeaseKeepAliveRequest(99))).ttl == 0


async def test_physical_compaction_returns_when_memory_is_freed(member: Store) -> None:
    for number in range(50):
        await put(member, b"a", b"%d" % number)
    size = member.status().size
    await member.compact(rq.CompactionRequest(member.revision, physical=True))
    assert member.status().size < size / 20
    with pytest.raises(errors.Compacted):
        await member.compact(rq.CompactionRequest(10))
    with pytest.raises(errors.FutureRevision):
        await member.compact(rq.CompactionRequest(10_000))


async def test_a_long_range_is_whole_and_of_one_revision(member: Store) -> None:
    keys = [b"%06d" % number for number in range(RANGE_SLICE * 2 + 10)]
    for start in range(0, len(keys), 128):
        puts = [rq.PutRequest(key) for key in keys[start : start + 128]]
        await member.txn(rq.TxnRequest((), puts))
    reading = asyncio.gather(
        member.range(EVERYTHING), member.range(EVERYTHING._replace(limit=RANGE_SLICE + 5))
    )
    for key in keys[-20:]:
        await member.delete_range(rq.DeleteRangeRequest(key))
    whole, limited = await reading
    assert [kv.key for kv in whole.kvs] == keys[: len(whole.kvs)]
    assert len(whole.kvs) == whole.total
    assert not whole.more
    assert [kv.key for kv in limited.kvs] == keys[: RANGE_SLICE + 5]
    assert limited.more


async def test_a_long_read_goes_on_in_the_store_that_has_replaced_the_one_it_began_with(
    members: Members,
) -> None:
    (server,) = await members.start(1)
    machine = server.machine
    keys = [b"%06d" % number for number in range(RANGE_SLICE * 2 + 10)]
    for key in keys:
        machine.store.put(key, b"1", 0)
    machine.store.commit()

    async def replace() -> None:
        machine.take(machine.load(machine.snapshot()))
        machine.store.put(b"0", b"later", 0)
        machine.store.commit()
        for replaced in machine.replaced:
            while replaced.take_apart(RANGE_SLICE):
                pass

    read = EVERYTHING._replace(serializable=True)
    found, _ = await asyncio.gather(server.store.range(read), replace())
    assert [kv.key for kv in found.kvs] == keys
    await until(lambda: not machine.replaced, "nothing of it is kept")


async def test_stopping_ends_every_watch(members: Members) -> None:
    (server,) = await members.start(1)
    stream = await watch(server.store, b"a")
    await members.stop(server)
    with pytest.raises(errors.Stopped):
        await response(stream)


async def test_everything_is_there_again_after_a_restart(members: Members) -> None:
    (server,) = await members.start(1)
    lease = (await server.store.lease_grant(rq.LeaseGrantRequest(100))).id
    revision = await put(server.store, b"a", b"1", lease)
    hashed = await server.store.hash_kv(0)
    await members.stop(server)
    again = await members.restart(server)
    assert await value(again.store, b"a") == b"1"
    assert again.store.revision == revision
    assert await again.store.hash_kv(0) == hashed
    assert list((await again.store.lease_time_to_live(lease)).keys) == [b"a"]


async def test_any_member_writes_and_every_member_reads_it_at_once(members: Members) -> None:
    servers = await members.start(3)
    for number, writer in enumerate(servers):
        await put(writer.store, b"a", b"%d" % number)
        for reader in servers:
            assert await value(reader.store, b"a") == b"%d" % number


async def test_members_agree_on_the_hash(members: Members) -> None:
    servers = await members.start(3)
    for number in range(20):
        await put(servers[number % 3].store, b"%d" % (number % 7), b"%d" % number)
    for server in servers:
        await server.store.linearize()
    hashes = [await server.store.hash_kv(10) for server in servers]
    assert len({(each.hash, each.compact_revision) for each in hashes}) == 1


async def test_a_watch_and_a_lease_survive_the_loss_of_the_leader(members: Members) -> None:
    servers = await members.start(3)
    leader = await members.leader()
    others = [server for server in servers if server is not leader]
    members.clock.hold()
    lease = await leader.store.lease_grant(rq.LeaseGrantRequest(1))
    first = await put(leader.store, b"a", b"1", lease.id)
    stream = await watch(others[0].store, b"a", first)
    await members.stop(leader)
    await put(others[1].store, b"a", b"2", lease.id)
    members.clock.advance(1.1)
    seen: list[Event] = []
    while len(seen) < 3:
        seen += (await response(stream)).events
    assert [event.kv.value for event in seen] == [b"1", b"2", b""]
    assert seen[-1].deleted


async def test_a_member_that_was_away_for_long_catches_up_by_a_snapshot(members: Members) -> None:
    servers = await members.start(3)
    leader = await members.leader()
    away = next(server for server in servers if server is not leader)
    await members.stop(away)
    lease = (await leader.store.lease_grant(rq.LeaseGrantRequest(100))).id
    for number in range(600):
        await put(leader.store, b"%d" % (number % 50), b"%d" % number, lease)
    await until(lambda: leader.store.status().replica.first_index > 200, "the log is compacted")
    back = await members.restart(away)
    assert await value(back.store, b"49") == b"599"
    assert await back.store.hash_kv(0) == await leader.store.hash_kv(0)
    assert len((await back.store.lease_time_to_live(lease)).keys) == 50
    stream = await watch(back.store, b"49", start_revision=2)
    assert len((await response(stream)).events) == 12


async def test_without_a_majority_writes_and_reads_are_refused(members: Members) -> None:
    servers = await members.start(3, StoreConfig(request_timeout=0.5))
    await insist(lambda: put(servers[0].store, b"a", b"1"))
    for server in servers[1:]:
        await members.stop(server)
    with pytest.raises((errors.NoLeader, errors.Timeout)):
        await put(servers[0].store, b"a", b"2")
    with pytest.raises((errors.NoLeader, errors.Timeout)):
        await value(servers[0].store, b"a")
    local = await servers[0].store.range(rq.RangeRequest(b"a", serializable=True))
    assert local.kvs[0].value == b"1"
