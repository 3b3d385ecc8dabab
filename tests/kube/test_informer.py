"""Informers and the reflector below them, against the simulated API server."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import pytest

from podling.kube import kinds, meta
from podling.kube.client import Client
from podling.kube.informer import Informer, InformerFactory
from podling.kube.meta import Object
from podling.simulate.api_server import MemoryApiServer
from tests.contract.api import config_map

PATIENCE = 30.0


class Told:
    """A subscriber that remembers, and that can be waited for."""

    def __init__(self, informer: Informer) -> None:
        self.keys: list[str] = []
        self._informer = informer
        self._news = asyncio.Event()
        informer.subscribe(self._tell)

    def _tell(self, key: str) -> None:
        self.keys.append(key)
        self._news.set()

    async def until_equal(self, client: Client) -> None:
        """Wait until the informer has exactly what the server has."""
        wanted = {
            meta.key(obj): obj for obj in (await client.list(kinds.CONFIG_MAP, "default")).items
        }
        try:
            async with asyncio.timeout(PATIENCE):
                while (found := contents(self._informer)) != wanted:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"still has {sorted(found)}, not {sorted(wanted)}") from None


def contents(informer: Informer) -> dict[str, Object]:
    return {meta.key(obj): obj for obj in informer.objects()}


@asynccontextmanager
async def following(client: Client, dice: Random, **more: str) -> AsyncIterator[Informer]:
    factory = InformerFactory(client, dice)
    informer = factory.informer(kinds.CONFIG_MAP, namespace="default", **more)
    await factory.start()
    try:
        async with asyncio.timeout(PATIENCE):
            await factory.wait_synced()
        yield informer
    finally:
        await factory.stop()


async def make(client: Client, *names: str) -> list[Object]:
    return [await client.create(kinds.CONFIG_MAP, config_map(name)) for name in names]


async def change(client: Client, name: str, value: str) -> None:
    await client.patch(kinds.CONFIG_MAP, name, {"data": {"v": value}}, "default")


async def test_it_has_what_there_was_and_follows_what_happens(client: Client, dice: Random) -> None:
    await make(client, "a", "b")
    async with following(client, dice) as informer:
        told = Told(informer)
        assert told.keys == ["default/a", "default/b"]
        await make(client, "c")
        await change(client, "a", "1")
        await client.delete(kinds.CONFIG_MAP, "b", "default")
        await told.until_equal(client)
        assert told.keys[2:] == ["default/c", "default/a", "default/b"]


async def test_it_says_nothing_about_a_copy_it_does_not_have_yet(
    server: MemoryApiServer, client: Client, dice: Random
) -> None:
    server.down = True
    factory = InformerFactory(client, dice)
    informer = factory.informer(kinds.CONFIG_MAP)
    await factory.start()
    assert not informer.synced
    server.down = False
    async with asyncio.timeout(PATIENCE):
        await informer.wait_synced()
    await factory.stop()


async def test_a_long_list_is_read_in_pages(client: Client, dice: Random) -> None:
    await make(client, *(f"n{number}" for number in range(1100)))
    async with following(client, dice) as informer:
        assert len(informer) == 1100


async def test_a_broken_watch_is_resumed_without_a_gap_or_a_repetition(
    server: MemoryApiServer, client: Client, dice: Random
) -> None:
    await make(client, "a", "b")
    async with following(client, dice) as informer:
        told = Told(informer)
        await make(client, "c")
        await told.until_equal(client)
        server.break_watches()
        told.keys.clear()
        await change(client, "a", "1")
        await client.delete(kinds.CONFIG_MAP, "b", "default")
        await told.until_equal(client)
        assert told.keys == ["default/a", "default/b"]


async def test_a_watch_that_ends_in_good_order_is_resumed_at_once(
    server: MemoryApiServer, client: Client, dice: Random
) -> None:
    async with following(client, dice) as informer:
        told = Told(informer)
        await make(client, "a")
        await told.until_equal(client)
        server.end_watches()
        await make(client, "b")
        await told.until_equal(client)
        assert told.keys == ["default/a", "default/b"]


async def test_when_history_is_gone_it_reads_anew_and_tells_only_what_changed(
    server: MemoryApiServer, client: Client, dice: Random
) -> None:
    await make(client, "a", "b", "c")
    async with following(client, dice) as informer:
        told = Told(informer)
        told.keys.clear()
        server.break_watches()
        await change(client, "a", "1")
        await client.delete(kinds.CONFIG_MAP, "b", "default")
        await make(client, "d")
        server.compact()
        await told.until_equal(client)
        assert told.keys == ["default/a", "default/b", "default/d"]


async def test_bookmarks_spare_a_quiet_watch_the_reading_anew(
    server: MemoryApiServer, client: Client, dice: Random
) -> None:
    await make(client, "a")
    async with following(client, dice) as informer:
        told = Told(informer)
        told.keys.clear()
        await client.create(kinds.NODE, {"metadata": {"name": "elsewhere"}})
        while not server.watches:  # noqa: ASYNC110
            await asyncio.sleep(0)
        server.bookmark()
        for _ in range(5):
            await asyncio.sleep(0)
        server.compact()
        lists = server.lists
        server.end_watches()
        await make(client, "b")
        await told.until_equal(client)
        assert told.keys == ["default/b"]
        assert server.lists == lists + 1  # The test's own.


async def test_under_any_faults_it_ends_up_equal(
    server: MemoryApiServer, client: Client, dice: Random
) -> None:
    faults = (server.break_watches, server.end_watches, server.compact, server.bookmark)
    async with following(client, dice) as informer:
        told = Told(informer)
        alive: list[str] = []
        for number in range(120):
            name = f"n{number}"
            roll = dice.random()
            if roll < 0.5 or not alive:
                await make(client, name)
                alive.append(name)
            elif roll < 0.8:
                await change(client, dice.choice(alive), name)
            else:
                victim = alive.pop(dice.randrange(len(alive)))
                await client.delete(kinds.CONFIG_MAP, victim, "default")
            if dice.random() < 0.2:
                dice.choice(faults)()
            await asyncio.sleep(dice.random() * 0.004)
        await told.until_equal(client)
    assert server.watches == 0


async def test_selectors_narrow_it(client: Client, dice: Random) -> None:
    await make(client, "a", "b")
    async with following(client, dice, field_selector="metadata.name=b") as informer:
        assert informer.keys() == ["default/b"]


async def test_those_who_ask_for_the_same_share_one(client: Client, dice: Random) -> None:
    factory = InformerFactory(client, dice)
    pods = factory.informer(kinds.POD)
    assert factory.informer(kinds.POD) is pods
    assert factory.informer(kinds.POD, field_selector="spec.nodeName=n1") is not pods


async def test_an_informer_asked_for_later_is_followed_too(client: Client, dice: Random) -> None:
    factory = InformerFactory(client, dice)
    await factory.start()
    await make(client, "a")
    informer = factory.informer(kinds.CONFIG_MAP)
    async with asyncio.timeout(PATIENCE):
        await informer.wait_synced()
    assert informer.keys() == ["default/a"]
    await factory.stop()


async def test_a_subscriber_that_fails_does_not_harm_others_and_can_leave(
    client: Client, dice: Random, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(key: str) -> None:
        raise ValueError("no")

    async with following(client, dice) as informer:
        leave = informer.subscribe(fail)
        told = Told(informer)
        await make(client, "a")
        await told.until_equal(client)
        assert "a subscriber failed on default/a" in caplog.text
        leave()
        caplog.clear()
        await make(client, "b")
        await told.until_equal(client)
        assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_an_outage_is_said_once_and_its_end_too(
    server: MemoryApiServer, client: Client, dice: Random, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with following(client, dice) as informer:
        told = Told(informer)
        server.down = True
        server.break_watches()
        await asyncio.sleep(0.2)
        server.down = False
        await make(client, "a")
        await told.until_equal(client)
    texts = [record.getMessage() for record in caplog.records]
    assert len([text for text in texts if "cannot watch configmaps" in text]) == 1
    assert [text for text in texts if "following configmaps" in text]
