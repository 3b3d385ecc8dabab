"""The storage over the store in the same process passes the suite of all stores."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from podling.controlplane.apiserver.storage import interface
from podling.controlplane.apiserver.storage.interface import Storage
from podling.controlplane.store import errors, key_values
from podling.controlplane.store.auth_requests import AuthEnableRequest, UserGrantRoleRequest
from podling.controlplane.store.config import StoreConfig
from podling.launcher.programs import embedded_storage
from podling.launcher.programs.embedded_storage import EmbeddedStorage
from tests.contract.storage import StorageContract
from tests.controlplane.store.members import Members


@pytest.fixture
async def members(tmp_path: Path) -> AsyncIterator[Members]:
    members = Members(tmp_path)
    yield members
    for server in tuple(members.servers):
        await members.stop(server)


class TestOverOneMember(StorageContract):
    @pytest.fixture
    async def storage(self, members: Members) -> Storage:
        (server,) = await members.start(1)
        return EmbeddedStorage(server.store)


class TestOverAFollower(StorageContract):
    @pytest.fixture
    async def storage(self, members: Members) -> Storage:
        servers = await members.start(3)
        leader = await members.leader()
        return EmbeddedStorage(next(each for each in servers if each is not leader).store)


class TestOverAMemberThatAsksWhoComes(StorageContract):
    """The API server in the member's own process may do everything."""

    @pytest.fixture
    async def storage(self, members: Members) -> Storage:
        (server,) = await members.start(1)
        await members.upgraded()
        auth = server.store.auth
        await auth.user_add("root", no_password=True)
        await auth.change(UserGrantRoleRequest("root", "root"))
        await auth.change(AuthEnableRequest())
        return EmbeddedStorage(server.store)


def test_records_have_the_fields_of_the_interface_in_their_order() -> None:
    assert key_values.KeyValue._fields == interface.KeyValue._fields
    assert key_values.Event._fields == interface.Event._fields


async def test_a_full_store_says_so(members: Members) -> None:
    (server,) = await members.start(1, StoreConfig(quota_bytes=10))
    storage = EmbeddedStorage(server.store)
    await storage.put(b"a", b"1", expected_revision=0)
    with pytest.raises(interface.NoSpace):
        await storage.put(b"b", b"1", expected_revision=0)


async def test_a_write_that_is_too_large_says_so(members: Members) -> None:
    (server,) = await members.start(1)
    with pytest.raises(interface.TooLarge):
        await EmbeddedStorage(server.store).put(b"a", b"x" * 2_000_000, expected_revision=0)


async def test_a_watch_ends_when_the_store_goes_away(members: Members) -> None:
    (server,) = await members.start(1)
    watch = await EmbeddedStorage(server.store).watch(b"a", b"b", after_revision=1)
    await members.stop(server)
    with pytest.raises(interface.Unavailable):
        async for _ in watch:
            pass


async def test_without_a_majority_nothing_is_read_and_a_write_is_not_acknowledged(
    members: Members,
) -> None:
    servers = await members.start(3, StoreConfig(request_timeout=0.5))
    for server in servers[1:]:
        await members.stop(server)
    storage = EmbeddedStorage(servers[0].store)
    with pytest.raises(interface.Unavailable):
        await storage.get(b"a")
    with pytest.raises((interface.Unavailable, interface.OutcomeUnknown)):
        await storage.put(b"a", b"1", expected_revision=0)


def test_only_a_write_without_an_answer_has_an_unknown_outcome() -> None:
    unknown = errors.Timeout()
    assert isinstance(embedded_storage._of_write(unknown), interface.OutcomeUnknown)
    assert isinstance(embedded_storage._of_read(unknown), interface.Unavailable)
    for refused in (errors.NoLeader(), errors.Stopped(), errors.LeaderChanged()):
        assert isinstance(embedded_storage._of_write(refused), interface.Unavailable)
