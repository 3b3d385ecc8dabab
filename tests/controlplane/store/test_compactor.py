"""The leader forgets history by itself."""

from contextlib import AsyncExitStack

from podling.controlplane.store import requests as rq
from podling.controlplane.store.compactor import Compactor
from tests.controlplane.store.members import Members
from tests.waiting import until


async def test_the_leader_compacts_and_all_members_forget(members: Members) -> None:
    servers = await members.start(3)
    deaths: list[str] = []
    async with AsyncExitStack() as stack:
        for server in servers:
            compactor = Compactor(
                "periodic", 0.2, server.store, lambda name, error: deaths.append(f"{name}: {error}")
            )
            await compactor.start()
            stack.push_async_callback(compactor.stop)
        for number in range(5):
            await servers[0].store.put(rq.PutRequest(b"key", b"%d" % number))
        await until(
            lambda: all(server.store.compact_revision >= 6 for server in servers),
            "every member has forgotten",
            lambda: str([server.store.compact_revision for server in servers]),
        )
    assert not deaths


async def test_without_a_retention_all_history_is_kept(members: Members) -> None:
    (server,) = await members.start(1)
    compactor = Compactor("revision", 0, server.store, lambda *_: None)
    await compactor.start()
    await server.store.put(rq.PutRequest(b"key", b"1"))
    await compactor.stop()
    assert server.store.compact_revision <= 0
