"""Writes that begin with what the watch cache holds, while that is older than the store."""

import orjson
import pytest

from podling.controlplane.apiserver.storage.interface import Unavailable
from podling.kube.kinds import CONFIG_MAP
from podling.kube.meta import Object
from tests.controlplane.apiserver.api import CONFIG_MAPS, Api, config_map

URL = f"{CONFIG_MAPS}/a"


@pytest.fixture
async def seen(api: Api) -> Object:
    """What the cache goes on to hold from now on, whatever is written: {"n": "1"}."""
    created = await api.create(CONFIG_MAPS, config_map("a", {"n": "1"}))
    await api.reached()
    await api.core.cache.stop()
    return created


async def change_unseen(api: Api, data: dict[str, str]) -> str:
    """Somebody else writes; returns the new resourceVersion."""
    key = CONFIG_MAP.storage_key("default", "a")
    current = (await api.storage.get(key)).kv
    assert current is not None
    value = orjson.dumps({**orjson.loads(current.value), "data": data})
    written = await api.storage.put(key, value, expected_revision=current.mod_revision)
    entry = api.core.cache.of(CONFIG_MAP).get(key)
    assert entry is not None
    assert entry.revision == current.mod_revision < written.revision
    return str(written.revision)


@pytest.mark.usefixtures("seen")
async def test_a_patch_builds_on_the_newest_state(api: Api) -> None:
    await change_unseen(api, {"n": "1", "theirs": "yes"})
    reply = await api.patch(URL, {"data": {"mine": "yes"}})
    assert reply.json["data"] == {"n": "1", "theirs": "yes", "mine": "yes"}


@pytest.mark.usefixtures("seen")
async def test_a_patch_that_changes_nothing_in_the_old_state_is_written(api: Api) -> None:
    await change_unseen(api, {"n": "2"})
    reply = await api.patch(URL, {"data": {"n": "1"}})
    assert reply.json["data"] == {"n": "1"}
    assert (await api.get(URL)).json["data"] == {"n": "1"}


async def test_a_put_on_the_newest_version_is_no_conflict(api: Api, seen: Object) -> None:
    seen["metadata"]["resourceVersion"] = await change_unseen(api, {"n": "2"})
    reply = await api.put(URL, {**seen, "data": {"n": "3"}})
    assert reply.status == 200, reply.body


async def test_a_put_on_the_old_version_is_a_conflict(api: Api, seen: Object) -> None:
    await change_unseen(api, {"n": "2"})
    reply = await api.put(URL, {**seen, "data": {"n": "3"}})
    assert (reply.status, reply.json["reason"]) == (409, "Conflict")


async def test_a_delete_of_the_newest_version_is_no_conflict(api: Api, seen: Object) -> None:
    version = await change_unseen(api, {"n": "2"})
    old = {"preconditions": {"resourceVersion": seen["metadata"]["resourceVersion"]}}
    assert (await api.delete(URL, old)).status == 409
    newest = {"preconditions": {"resourceVersion": version}}
    assert (await api.delete(URL, newest)).status == 200
    assert (await api.get(URL)).status == 404


@pytest.mark.usefixtures("seen")
async def test_what_is_gone_is_not_found(api: Api) -> None:
    key = CONFIG_MAP.storage_key("default", "a")
    current = (await api.storage.get(key)).kv
    assert current is not None
    await api.storage.delete(key, expected_revision=current.mod_revision)
    assert (await api.patch(URL, {"data": {"n": "2"}})).status == 404
    assert (await api.delete(URL)).status == 404


@pytest.mark.usefixtures("seen")
async def test_nothing_to_do_is_not_said_without_the_store(api: Api) -> None:
    api.storage.fail_next(Unavailable("no leader"))
    assert (await api.patch(URL, {"data": {"n": "1"}})).status == 503


@pytest.mark.usefixtures("seen")
async def test_a_dry_run_works_on_the_newest_state(api: Api) -> None:
    await change_unseen(api, {"n": "1", "theirs": "yes"})
    reply = await api.patch(f"{URL}?dryRun=All", {"data": {"mine": "yes"}})
    assert reply.json["data"] == {"n": "1", "theirs": "yes", "mine": "yes"}


@pytest.mark.usefixtures("seen")
async def test_a_write_on_what_is_current_reads_nothing_from_the_store(api: Api) -> None:
    reads = []
    real = api.storage.get

    async def get(key: bytes) -> object:
        reads.append(key)
        return await real(key)

    api.storage.get = get  # type: ignore[method-assign, assignment]
    assert (await api.patch(URL, {"data": {"n": "2"}})).status == 200
    assert reads == []
