"""Users, roles and permissions as a client sees them: alike on our store and on a real etcd.

Where releases of etcd differ, ours is as strict as the newest: see `test_rpc_auth`.
"""

from typing import Any

import grpc
import grpc.aio
import pytest

from podling.controlplane.etcdpb import auth_pb2, auth_pb2_grpc, rpc_pb2
from tests.controlplane.store.etcd.clients import Client, Watch, anonymous
from tests.controlplane.store.members import PATIENCE

READ, WRITE, READWRITE = range(3)


class Users:
    """Asks on behalf of users, and gives answers as text."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.auth: Any = auth_pb2_grpc.AuthStub(client.channel)
        self.tokens: dict[str, str] = {}

    async def login(self, name: str, password: str) -> str:
        request = auth_pb2.AuthenticateRequest(name=name, password=password)
        try:
            self.tokens[name] = (await self.auth.Authenticate(request)).token
        except grpc.aio.AioRpcError as error:
            return f"{error.code().name}: {error.details()}"
        return "OK"

    def metadata(self, user: str) -> tuple[tuple[str, str], ...]:
        return (("token", self.tokens[user]),) if user else ()

    async def ask(self, user: str, method: Any, request: Any) -> str:
        """`OK` and what the answer says, or what it is refused with."""
        try:
            answer = await method(request, metadata=self.metadata(user), timeout=PATIENCE)
        except grpc.aio.AioRpcError as error:
            return f"{error.code().name}: {error.details()}"
        answer.header.Clear()
        return " ".join(["OK", *str(answer).removeprefix("header {\n}\n").split()])

    async def change(self, user: str, method: str, /, **fields: Any) -> str:
        method_of = getattr(self.auth, method)
        prefix = "" if method.startswith("Auth") else "Auth"
        request = getattr(auth_pb2, f"{prefix}{method}Request")(**fields)
        return await self.ask(user, method_of, request)

    async def grant(self, role: str, kind: int, key: bytes, range_end: bytes = b"") -> str:
        permission = auth_pb2.Permission(permType=kind, key=key, range_end=range_end)  # type: ignore[arg-type]
        return await self.change("", "RoleGrantPermission", name=role, perm=permission)

    async def put(self, user: str, key: bytes, **options: Any) -> str:
        request = rpc_pb2.PutRequest(key=key, value=b"1", **options)
        return await self.ask(user, self.client.kv.Put, request)

    async def get(self, user: str, key: bytes, range_end: bytes = b"") -> str:
        request = rpc_pb2.RangeRequest(key=key, range_end=range_end, count_only=True)
        return await self.ask(user, self.client.kv.Range, request)

    async def delete(self, user: str, key: bytes, range_end: bytes = b"", **options: Any) -> str:
        request = rpc_pb2.DeleteRangeRequest(key=key, range_end=range_end, **options)
        return await self.ask(user, self.client.kv.DeleteRange, request)

    async def txn(self, user: str, compare: list[Any], then: list[Any]) -> str:
        request = rpc_pb2.TxnRequest(compare=compare, success=then)
        return await self.ask(user, self.client.kv.Txn, request)


@pytest.fixture
async def users(either: Client) -> Users:
    """The user root, with its role."""
    users = Users(either)
    assert await users.change("", "UserAdd", name="root", password="secret") == "OK"
    assert await users.change("", "UserGrantRole", user="root", role="root") == "OK"
    return users


@pytest.fixture
async def guarded(users: Users) -> Users:
    """Authentication is enabled; anna reads [a, e) and k and writes [a, c), ben has all from x."""
    for role in ("reader", "writer", "all"):
        assert await users.change("", "RoleAdd", name=role) == "OK"
    assert await users.grant("reader", READ, b"a", b"c") == "OK"
    assert await users.grant("reader", READ, b"c", b"e") == "OK"
    assert await users.grant("reader", READ, b"k") == "OK"
    assert await users.grant("writer", WRITE, b"a", b"c") == "OK"
    assert await users.grant("all", READWRITE, b"x", b"\0") == "OK"
    for name, roles in (("anna", ["reader", "writer"]), ("ben", ["all"])):
        assert await users.change("", "UserAdd", name=name, password=name) == "OK"
        for role in roles:
            assert await users.change("", "UserGrantRole", user=name, role=role) == "OK"
    for lease, key in ((77, b"b"), (78, b"x")):
        grant = rpc_pb2.LeaseGrantRequest(ID=lease, TTL=600)
        await users.client.lease.LeaseGrant(grant)
        assert await users.put("", key, lease=lease) == "OK"
    assert await users.change("", "AuthEnable") == "OK"
    for name, password in (("root", "secret"), ("anna", "anna"), ("ben", "ben")):
        assert await users.login(name, password) == "OK"
    return users


async def test_users_and_roles_are_kept_and_refused(users: Users) -> None:
    story = [
        ("UserAdd", {"name": ""}, "INVALID_ARGUMENT: etcdserver: user name is empty"),
        ("UserAdd", {"name": "anna", "password": "x"}, "OK"),
        ("UserAdd", {"name": "anna"}, "FAILED_PRECONDITION: etcdserver: user name already exists"),
        ("UserAdd", {"name": "ben", "options": auth_pb2.UserAddOptions(no_password=True)}, "OK"),
        ("UserList", {}, 'OK users: "anna" users: "ben" users: "root"'),
        ("RoleAdd", {"name": ""}, "INVALID_ARGUMENT: etcdserver: role name is empty"),
        ("RoleAdd", {"name": "r"}, "OK"),
        ("RoleAdd", {"name": "r"}, "FAILED_PRECONDITION: etcdserver: role name already exists"),
        ("RoleAdd", {"name": "q"}, "OK"),
        ("RoleList", {}, 'OK roles: "q" roles: "r"'),
        ("UserGrantRole", {"user": "anna", "role": "r"}, "OK"),
        ("UserGrantRole", {"user": "anna", "role": "r"}, "OK"),
        ("UserGrantRole", {"user": "anna", "role": "q"}, "OK"),
        ("UserGrantRole", {"user": "x", "role": "r"},
         "FAILED_PRECONDITION: etcdserver: user name not found"),
        ("UserGrantRole", {"user": "anna", "role": "x"},
         "FAILED_PRECONDITION: etcdserver: role name not found"),
        ("UserGet", {"name": "anna"}, 'OK roles: "q" roles: "r"'),
        ("UserGet", {"name": "x"}, "FAILED_PRECONDITION: etcdserver: user name not found"),
        ("UserRevokeRole", {"name": "anna", "role": "x"},
         "FAILED_PRECONDITION: etcdserver: role is not granted to the user"),
        ("UserRevokeRole", {"name": "x", "role": "r"},
         "FAILED_PRECONDITION: etcdserver: user name not found"),
        ("UserRevokeRole", {"name": "anna", "role": "q"}, "OK"),
        ("RoleDelete", {"role": "r"}, "OK"),
        ("RoleDelete", {"role": "r"}, "FAILED_PRECONDITION: etcdserver: role name not found"),
        ("RoleGet", {"role": "r"}, "FAILED_PRECONDITION: etcdserver: role name not found"),
        ("UserGet", {"name": "anna"}, "OK"),
        ("UserChangePassword", {"name": "x", "password": "y"},
         "FAILED_PRECONDITION: etcdserver: user name not found"),
        ("UserDelete", {"name": "anna"}, "OK"),
        ("UserDelete", {"name": "anna"}, "FAILED_PRECONDITION: etcdserver: user name not found"),
    ]  # fmt: skip
    for method, fields, expected in story:
        assert await users.change("", method, **fields) == expected, f"{method} {fields}"


async def test_permissions_are_granted_and_revoked(users: Users) -> None:
    await users.change("", "RoleAdd", name="r")
    assert await users.grant("r", READ, b"k") == "OK"
    assert await users.grant("r", WRITE, b"a", b"c") == "OK"
    assert await users.grant("r", READWRITE, b"k") == "OK"
    assert (
        await users.grant("x", READ, b"k") == "FAILED_PRECONDITION: etcdserver: role name not found"
    )
    assert await users.change("", "RoleGet", role="r") == (
        'OK perm { permType: WRITE key: "a" range_end: "c" } perm { permType: READWRITE key: "k" }'
    )
    for fields, expected in (
        ({"role": "x", "key": b"k"}, "FAILED_PRECONDITION: etcdserver: role name not found"),
        ({"role": "r", "key": b"a"},
         "FAILED_PRECONDITION: etcdserver: permission is not granted to the role"),
        ({"role": "r", "key": b"a", "range_end": b"c"}, "OK"),
    ):  # fmt: skip
        assert await users.change("", "RoleRevokePermission", **fields) == expected
    assert await users.change("", "RoleGet", role="r") == (
        'OK perm { permType: READWRITE key: "k" }'
    )


async def test_only_a_root_with_its_role_enables(either: Client) -> None:
    users = Users(either)
    enable = "FAILED_PRECONDITION: etcdserver: root user does not "
    assert await users.change("", "AuthEnable") == enable + "exist"
    assert await users.change("", "UserAdd", name="root", password="secret") == "OK"
    assert await users.change("", "AuthEnable") == enable + "have root role"
    not_enabled = "FAILED_PRECONDITION: etcdserver: authentication is not enabled"
    assert await users.login("root", "secret") == not_enabled
    assert await users.change("", "UserGrantRole", user="root", role="root") == "OK"
    assert await users.change("", "AuthEnable") == "OK"
    nobody = "INVALID_ARGUMENT: etcdserver: user name is empty"
    assert await users.change("", "AuthDisable") == nobody
    assert await users.login("root", "secret") == "OK"
    assert await users.change("root", "AuthEnable") == "OK"
    assert await users.change("root", "AuthDisable") == "OK"
    assert await users.put("", b"a") == "OK"


async def test_a_login_needs_the_right_password(guarded: Users) -> None:
    failed = "INVALID_ARGUMENT: etcdserver: authentication failed, invalid user ID or password"
    assert await guarded.login("anna", "wrong") == failed
    assert await guarded.login("nobody", "anna") == failed
    options = auth_pb2.UserAddOptions(no_password=True)
    assert await guarded.change("root", "UserAdd", name="carl", options=options) == "OK"
    assert await guarded.login("carl", "") == (
        "UNKNOWN: auth: authentication failed, password was given for no password user"
    )
    guarded.tokens["thief"] = "guessed.7"
    assert await guarded.get("thief", b"a") == "UNAUTHENTICATED: etcdserver: invalid auth token"


async def test_a_changed_password_ends_what_was_begun_with_the_old_one(guarded: Users) -> None:
    assert await guarded.get("anna", b"a") == "OK"
    change = {"name": "anna", "password": "new"}
    assert await guarded.change("root", "UserChangePassword", **change) == "OK"
    assert await guarded.get("anna", b"a") == "UNAUTHENTICATED: etcdserver: invalid auth token"
    assert (await guarded.login("anna", "anna")).startswith("INVALID_ARGUMENT")
    assert await guarded.login("anna", "new") == "OK"
    assert await guarded.get("anna", b"a") == "OK"
    assert await guarded.change("root", "UserDelete", name="anna") == "OK"
    assert await guarded.get("anna", b"a") == "UNAUTHENTICATED: etcdserver: invalid auth token"


DENIED = "PERMISSION_DENIED: etcdserver: permission denied"


async def test_keys_are_read_and_written_by_permission(guarded: Users) -> None:
    nobody = "INVALID_ARGUMENT: etcdserver: user name is empty"
    assert await guarded.get("", b"a") == nobody
    assert await guarded.put("", b"a") == nobody
    assert await guarded.delete("", b"a") == nobody
    assert await guarded.get("anna", b"a") == "OK"
    assert await guarded.get("anna", b"a", b"e") == "OK count: 1"
    assert await guarded.get("anna", b"k") == "OK"
    for key, range_end in ((b"a", b"f"), (b"A", b"b"), (b"e", b""), (b"k", b"l"), (b"a", b"\0")):
        assert await guarded.get("anna", key, range_end) == DENIED
    assert await guarded.put("anna", b"a") == "OK"
    assert await guarded.put("anna", b"c") == DENIED
    assert await guarded.delete("anna", b"a", b"c") == "OK deleted: 2"
    assert await guarded.delete("anna", b"a", b"d") == DENIED
    assert await guarded.get("ben", b"x", b"\0") == "OK count: 1"
    assert await guarded.get("ben", b"\0", b"\0") == DENIED
    assert await guarded.delete("ben", b"xx", prev_kv=True) == "OK"
    assert await guarded.get("root", b"\0", b"\0") == "OK count: 1"


async def test_a_lease_belongs_to_who_may_write_its_keys(guarded: Users) -> None:
    assert await guarded.put("anna", b"a", lease=77) == "OK"
    assert await guarded.put("anna", b"a", lease=78) == DENIED
    unknown = "NOT_FOUND: etcdserver: requested lease not found"
    assert await guarded.put("anna", b"a", lease=99) == unknown
    revoke = rpc_pb2.LeaseRevokeRequest(ID=77)
    assert await guarded.ask("ben", guarded.client.lease.LeaseRevoke, revoke) == DENIED
    assert await guarded.ask("anna", guarded.client.lease.LeaseRevoke, revoke) == "OK"
    assert await guarded.get("anna", b"a", b"c") == "OK"


async def test_a_transaction_needs_all_that_it_names(guarded: Users) -> None:
    def absent(key: bytes, range_end: bytes = b"") -> Any:
        return rpc_pb2.Compare(key=key, range_end=range_end, version=0)

    put_a = rpc_pb2.RequestOp(request_put=rpc_pb2.PutRequest(key=b"a"))
    put_c = rpc_pb2.RequestOp(request_put=rpc_pb2.PutRequest(key=b"c"))
    read_e = rpc_pb2.RequestOp(request_range=rpc_pb2.RangeRequest(key=b"a", range_end=b"e"))
    read_z = rpc_pb2.RequestOp(request_range=rpc_pb2.RangeRequest(key=b"a", range_end=b"z"))
    assert (await guarded.txn("anna", [absent(b"a", b"e")], [put_a, read_e])).startswith("OK")
    assert await guarded.txn("anna", [absent(b"x")], [put_a]) == DENIED
    assert await guarded.txn("anna", [absent(b"a")], [put_c]) == DENIED
    assert await guarded.txn("anna", [absent(b"a")], [read_z]) == DENIED
    # The branch that is not taken counts too.
    assert await guarded.txn("anna", [absent(b"b")], [put_c]) == DENIED


async def test_watching_needs_reading(guarded: Users) -> None:
    for user, key, range_end, reason in (
        ("anna", b"a", b"e", ""),
        (
            "anna",
            b"a",
            b"f",
            "rpc error: code = PermissionDenied desc = etcdserver: permission denied",
        ),
        ("root", b"", b"\0", ""),
    ):
        watch = Watch(guarded.client.watch.Watch(metadata=guarded.metadata(user)))
        await watch.create(key=key, range_end=range_end)
        response = anonymous(await watch.next())
        assert response.created
        assert (response.canceled, response.cancel_reason) == (bool(reason), reason)
        watch.call.cancel()


async def test_managing_users_takes_the_role_root(guarded: Users) -> None:
    managing = "INVALID_ARGUMENT: etcdserver: invalid auth management"
    story = [
        ("anna", "UserAdd", {"name": "z"}, DENIED),
        ("anna", "UserList", {}, DENIED),
        ("anna", "RoleList", {}, DENIED),
        ("anna", "UserGet", {"name": "anna"}, 'OK roles: "reader" roles: "writer"'),
        ("anna", "UserGet", {"name": "ben"}, DENIED),
        ("anna", "RoleGet", {"role": "writer"},
         'OK perm { permType: WRITE key: "a" range_end: "c" }'),
        ("anna", "RoleGet", {"role": "all"}, DENIED),
        ("anna", "UserChangePassword", {"name": "anna", "password": "x"}, DENIED),
        ("anna", "AuthDisable", {}, DENIED),
        ("root", "UserDelete", {"name": "root"}, managing),
        ("root", "UserRevokeRole", {"name": "root", "role": "root"}, managing),
        ("root", "RoleDelete", {"role": "root"}, managing),
        ("root", "RoleDelete", {"role": "writer"}, "OK"),
        ("root", "UserGet", {"name": "anna"}, 'OK roles: "reader"'),
    ]  # fmt: skip
    for user, method, fields, expected in story:
        assert await guarded.change(user, method, **fields) == expected, f"{user} {method}"
    assert await guarded.put("anna", b"a") == DENIED
    assert await guarded.get("anna", b"a") == "OK"
