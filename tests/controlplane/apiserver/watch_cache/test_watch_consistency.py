"""Whatever happens, a client that lists and watches ends with what the store holds.

Random writes, with the store's watch breaking, history being forgotten and watches ending in
between. The client does what every informer does: list, watch, and list again when told to.
"""

import asyncio
import random
from dataclasses import dataclass, field

import orjson
import pytest

from podling.aiokit.tasks import TaskSet
from podling.controlplane.apiserver.api_core import ApiCoreConfig
from podling.controlplane.apiserver.storage.interface import TooManyRequests, Unavailable
from podling.controlplane.apiserver.watch_cache.watch_cache import WatchCacheConfig
from podling.kube.meta import Object
from tests.controlplane.apiserver.api import CONFIG_MAPS, PATIENCE, Api, MemorySink, running_api

SELECTOR = "labelSelector=on%3Dyes"
CONFIG = ApiCoreConfig(
    podling_version="t",
    service_range="127.9.0.0/18",
    watch_cache=WatchCacheConfig(window_events_max=20),
)


@dataclass
class Follower:
    """An informer in small: what it believes exists, name -> resourceVersion."""

    api: Api
    query: str = ""
    known: dict[str, str] = field(default_factory=dict)
    lists: int = 0

    async def run(self) -> None:
        while True:
            reply = await self.api.get(f"{CONFIG_MAPS}?{self.query}")
            if reply.status != 200:
                await asyncio.sleep(0.001)
                continue
            self.lists += 1
            listed = reply.json
            self.known = {one["metadata"]["name"]: _version(one) for one in listed["items"]}
            await self._watch(listed["metadata"]["resourceVersion"])

    async def _watch(self, version: str) -> None:
        url = f"{CONFIG_MAPS}?watch=1&resourceVersion={version}&{self.query}"
        response = await self.api.core.face.handle(self.api.request("GET", url))
        assert response.stream is not None
        sink = _ParsingSink(self, int(version))
        await response.stream(sink)
        assert sink.done, "a watch ended without a reason"

    def take(self, what: str, obj: Object, after: int) -> None:
        name, version = obj["metadata"]["name"], _version(obj)
        assert int(version) > after, f"{what} {name} at {version} was told already ({after})"
        if what == "DELETED":
            assert self.known.pop(name, None) is not None, f"{name} was not known"
        else:
            assert (name in self.known) == (what == "MODIFIED"), f"{what} {name}"
            self.known[name] = version


class _ParsingSink(MemorySink):
    def __init__(self, follower: Follower, after: int) -> None:
        super().__init__()
        self._follower = follower
        self._after = after
        self.done = False

    def write(self, data: bytes) -> None:
        event = orjson.loads(data)
        if event["type"] == "ERROR":
            assert event["object"]["code"] == 410
            self.done = True
            return
        self._follower.take(event["type"], event["object"], self._after)
        self._after = int(_version(event["object"]))


def _version(obj: Object) -> str:
    return str(obj["metadata"]["resourceVersion"])


async def step(api: Api, dice: random.Random) -> None:
    """One thing that happens."""
    name = f"c{dice.randrange(8)}"
    label = {"on": dice.choice(("yes", "no"))}
    match dice.randrange(12):
        case 0 | 1 | 2 | 3:
            await api.post(CONFIG_MAPS, {"metadata": {"name": name, "labels": label}})
        case 4 | 5 | 6:
            patch = {"metadata": {"labels": label}, "data": {"n": str(dice.random())}}
            await api.patch(f"{CONFIG_MAPS}/{name}", patch)
        case 7 | 8:
            await api.delete(f"{CONFIG_MAPS}/{name}")
        case 9:
            error = dice.choice((Unavailable("lost"), TooManyRequests("behind")))
            api.storage.drop_watches(error)
        case 10:
            await api.storage.compact(api.storage.revision)
        case 11:
            for _ in range(dice.randrange(5)):
                await asyncio.sleep(0)


@pytest.mark.parametrize("seed", range(12))
async def test_followers_end_with_what_the_store_holds(seed: int) -> None:
    dice = random.Random(seed)
    async with running_api(config=CONFIG) as api, TaskSet("followers") as tasks:
        followers = [Follower(api), Follower(api), Follower(api, SELECTOR)]
        running = [tasks.spawn(one.run(), name=str(n)) for n, one in enumerate(followers)]
        for _ in range(150):
            await step(api, dice)
        api.storage.drop_watches(Unavailable("once more"))
        await api.create(CONFIG_MAPS, {"metadata": {"name": "last", "labels": {"on": "yes"}}})
        async with asyncio.timeout(PATIENCE):
            for _ in range(10_000):
                if all("last" in one.known for one in followers):
                    break
                await asyncio.sleep(0.001)
        assert not any(task.done() for task in running), f"seed {seed}: a follower died"
        for follower in followers:
            stored = (await api.get(f"{CONFIG_MAPS}?{follower.query}")).json["items"]
            assert follower.lists > 0
            assert follower.known == {one["metadata"]["name"]: _version(one) for one in stored}
