"""The real etcdctl against one and three members: users, roles, and who may do what."""

from collections.abc import AsyncIterator

import pytest

from tests.controlplane.store.etcd.etcdctl import Run, etcdctl, needs_etcdctl
from tests.controlplane.store.members import Members

pytestmark = needs_etcdctl

ROOT = "--user=root:secret"


@pytest.fixture(params=[1, 3], ids=["one member", "three members"])
async def run(members: Members, request: pytest.FixtureRequest) -> AsyncIterator[Run]:
    await members.start(request.param, listen=True)
    await members.upgraded()

    async def run(*words: str, stdin: str = "", fails: bool = False) -> str:
        return await etcdctl(members.endpoints, *words, stdin=stdin, fails=fails)

    yield run


async def test_a_user_may_what_the_roles_allow(run: Run) -> None:
    await run("put", "/a/1", "1")
    await run("put", "/b/1", "1")
    await run("user", "add", "root:secret")
    await run("user", "grant-role", "root", "root")
    await run("role", "add", "reader")
    await run("role", "grant-permission", "reader", "read", "/a/", "--prefix=true")
    await run("user", "add", "alice:pass")
    await run("user", "grant-role", "alice", "reader")
    assert await run("auth", "enable") == "Authentication Enabled\n"

    alice = "--user=alice:pass"
    assert await run(alice, "get", "/a/", "--prefix") == "/a/1\n1\n"
    assert "permission denied" in await run(alice, "get", "/b/1", fails=True)
    assert "permission denied" in await run(alice, "put", "/a/1", "2", fails=True)
    assert "permission denied" in await run(alice, "user", "list", fails=True)
    assert "user name is empty" in await run("get", "/a/1", fails=True)
    assert "authentication failed" in await run("--user=alice:guess", "get", "/a/1", fails=True)
    assert await run(ROOT, "get", "/b/1") == "/b/1\n1\n"

    assert await run(ROOT, "auth", "disable") == "Authentication Disabled\n"
    assert await run("get", "/b/1") == "/b/1\n1\n"


async def test_users_and_roles_are_listed_changed_and_removed(run: Run) -> None:
    await run("user", "add", "alice:pass")
    await run("role", "add", "writer")
    await run("role", "grant-permission", "writer", "readwrite", "a", "c")
    await run("user", "grant-role", "alice", "writer")
    assert "Roles: writer" in await run("user", "get", "alice")
    assert "[a, c)" in await run("role", "get", "writer")
    assert await run("user", "list") == "alice\n"
    assert await run("role", "list") == "writer\n"
    await run("user", "passwd", "alice", "--interactive=false", stdin="another\n")
    await run("user", "revoke-role", "alice", "writer")
    await run("role", "revoke-permission", "writer", "a", "c")
    assert "[a, c)" not in await run("role", "get", "writer")
    await run("role", "delete", "writer")
    await run("user", "delete", "alice")
    assert await run("user", "list") == await run("role", "list") == ""


async def test_auth_needs_a_root_first(run: Run) -> None:
    assert "root user does not exist" in await run("auth", "enable", fails=True)
    assert "user name not found" in await run("user", "get", "nobody", fails=True)
    assert "role name not found" in await run("role", "get", "nothing", fails=True)
