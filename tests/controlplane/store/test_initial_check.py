"""Comparing a member that starts with the others: over real replicas, and the way between them."""

import logging
import socket

import pytest

from podling.controlplane.replica.transport import NoAnswer
from podling.controlplane.store import requests as rq
from podling.controlplane.store.config import StoreConfig
from podling.controlplane.store.initial_check import InconsistentData, InitialCheck
from podling.controlplane.store.store_server import StoreServer
from tests.controlplane.store.members import Members, insist


async def started(
    members: Members, count: int = 3, config: StoreConfig | None = None
) -> list[StoreServer]:
    """Members that all have applied two changes."""
    servers = await members.start(count, config)
    await members.upgraded()
    for value in (b"1", b"2"):
        await insist(lambda: servers[0].store.put(rq.PutRequest(b"a", value)))  # noqa: B023
    for server in servers:
        await server.replica.read_index()
    return servers


async def check(members: Members, server: StoreServer) -> None:
    await InitialCheck(server.store, members.transports[server]).start()


async def test_members_that_agree_start(members: Members, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for server in await started(members):
        await check(members, server)
    assert "could not compare" not in caplog.text
    assert "compared with 2 of 2 other members" in caplog.text


async def test_one_that_differs_does_not(members: Members) -> None:
    servers = await started(members)
    damaged = servers[1].machine.store
    damaged.revision -= 1
    damaged.put(b"a", b"other", 0)
    damaged.commit()
    with pytest.raises(InconsistentData, match="found data inconsistency with peers") as refused:
        await check(members, servers[1])
    for server in (servers[0], servers[2]):
        assert f"{server.replica.member_id:x}" in str(refused.value)
    # The others differ from it alone; they do not take it for two.
    with pytest.raises(InconsistentData, match=f" {servers[1].replica.member_id:x}\\."):
        await check(members, servers[0])


async def test_one_that_was_away_catches_up_first(
    members: Members, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    servers = await started(members)
    away = servers[2]
    await members.stop(away)
    await servers[0].store.put(rq.PutRequest(b"a", b"3"))
    away = await members.restart(away)
    await check(members, away)
    assert "the keys at revision 4, compared with 2 of 2 other members" in caplog.text
    assert "could not compare" not in caplog.text


async def test_without_a_quorum_it_compares_what_it_has(
    members: Members, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    config = StoreConfig(min_lease_ttl=1, housekeeping_interval=0.05, request_timeout=0.5)
    one, *_ = servers = await started(members, config=config)
    for server in servers[1:]:
        await members.stop(server)
    await check(members, one)
    assert "UNAVAILABLE" in caplog.text
    assert "compared with 0 of 2 other members" in caplog.text


async def test_whom_it_cannot_compare_with_it_does_not_wait_for(
    members: Members, caplog: pytest.LogCaptureFixture
) -> None:
    servers = await started(members)
    one, ahead, away = servers
    ahead.machine.store.compact(2)
    await members.stop(away)
    members.transports[ahead].answering = None
    await check(members, one)
    assert "this member answers no questions" in caplog.text
    assert "UNAVAILABLE" in caplog.text


async def test_what_was_compacted_in_between_is_not_compared(
    members: Members, caplog: pytest.LogCaptureFixture
) -> None:
    one, ahead = await started(members, 2)
    ahead.machine.store.compact(2)
    await check(members, one)
    assert "its history was compacted at revision 2" in caplog.text
    ahead.machine.store.compact(3)
    one.machine.store.revision -= 1
    await check(members, one)
    assert "required revision has been compacted" in caplog.text


async def test_what_a_member_does_not_know_it_does_not_answer(members: Members) -> None:
    one, two = await started(members, 2)
    ask = members.transports[one].ask
    for question, words in ((b"\xff", "DecodeError|parsing"), (b"\x08\x63", "future revision")):
        with pytest.raises(NoAnswer, match=words):
            await ask(two.replica.member_id, question, 10)
    with pytest.raises(NoAnswer, match="no way to it"):
        await ask(99, b"", 10)


async def test_alone_there_is_nobody_to_ask(members: Members) -> None:
    (server,) = await started(members, 1)
    await check(members, server)


async def test_one_that_is_not_there_at_all_costs_a_moment(members: Members) -> None:
    """A machine that is off does not refuse; it says nothing."""
    one, two = await started(members, 2)
    (link,) = (way.link for way in members.transports[one]._links.values())
    with socket.create_server(("127.0.0.1", 0), backlog=1) as silent:
        link._urls[0] = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(NoAnswer, match=r"not reached within 0\.1 s"):
            await members.transports[one].ask(two.replica.member_id, b"", 30, reach=0.1)


async def test_what_cannot_be_read_is_no_answer(
    members: Members, caplog: pytest.LogCaptureFixture
) -> None:
    one, strange = await started(members, 2)

    async def answer(_question: bytes) -> bytes:
        return b"\xff"

    members.transports[strange].answering = answer
    await check(members, one)
    assert f"could not compare with member {strange.replica.member_id:x}" in caplog.text
