"""The same random grants, revocations and requests of users to our store and to a real etcd."""

import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from podling.controlplane.etcdpb import auth_pb2, auth_pb2_grpc, rpc_pb2
from tests.controlplane.store.etcd.clients import (
    OPTIONS,
    Client,
    anonymous,
    needs_etcd,
    real_etcd,
)
from tests.controlplane.store.members import PATIENCE, Members

pytestmark = needs_etcd

USERS, ROLES = ["anna", "ben"], ["r", "s", "t"]
KEYS = [b"a", b"b", b"bb", b"c", b"d"]
ENDS = [b"", b"", b"\0", b"b", b"c", b"cc", b"e"]
REQUESTS = 500


class Side:
    """One of the two, asked on behalf of users."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.client = Client(channel)
        self.auth: Any = auth_pb2_grpc.AuthStub(channel)
        self.tokens: dict[str, str] = {}

    async def begin(self) -> None:
        auth = self.auth
        for user in ("root", *USERS):
            await auth.UserAdd(auth_pb2.AuthUserAddRequest(name=user, password=user))
        await auth.UserGrantRole(auth_pb2.AuthUserGrantRoleRequest(user="root", role="root"))
        for role in ROLES:
            await auth.RoleAdd(auth_pb2.AuthRoleAddRequest(name=role))
        await auth.AuthEnable(auth_pb2.AuthEnableRequest())
        for user in ("root", *USERS):
            login = auth_pb2.AuthenticateRequest(name=user, password=user)
            self.tokens[user] = (await auth.Authenticate(login)).token

    async def ask(self, user: str, service: str, method: str, request: Any) -> Any:
        stub = self.auth if service == "auth" else getattr(self.client, service)
        metadata = (("token", self.tokens[user]),) if user else ()
        try:
            answer = await getattr(stub, method)(request, metadata=metadata, timeout=PATIENCE)
        except grpc.aio.AioRpcError as error:
            return f"{error.code().name}: {error.details()}"
        return anonymous(answer)


@pytest.fixture
async def sides(members: Members, tmp_path: Path) -> AsyncIterator[list[Side]]:
    (server,) = await members.start(1, listen=True)
    await members.upgraded()
    async with (
        real_etcd(tmp_path) as theirs,
        grpc.aio.insecure_channel(members.endpoint(server), options=OPTIONS) as ours,
    ):
        sides = [Side(theirs), Side(ours)]
        for side in sides:
            await side.begin()
        yield sides


class Requests:
    """(user, service, method, request), at random."""

    def __init__(self, dice: random.Random) -> None:
        self.dice: Any = dice

    def any(self) -> tuple[str, str, str, Any]:
        if self.dice.random() < 0.15:
            return "root", "auth", *self.change()
        user = self.dice.choice(["", "root", *USERS * 6])
        kind = self.dice.choice([self.put, self.delete, self.range, self.range, self.txn])
        return user, "kv", *kind()

    def change(self) -> tuple[str, Any]:
        role, user = self.dice.choice(ROLES), self.dice.choice(USERS)
        key, range_end = self.valid_range()
        permission = auth_pb2.Permission(
            permType=self.dice.randint(0, 2), key=key, range_end=range_end
        )
        grant = auth_pb2.AuthRoleGrantPermissionRequest(name=role, perm=permission)
        revoke = auth_pb2.AuthRoleRevokePermissionRequest(role=role, key=key, range_end=range_end)
        give = auth_pb2.AuthUserGrantRoleRequest(user=user, role=role)
        take = auth_pb2.AuthUserRevokeRoleRequest(name=user, role=role)
        changes = [
            ("RoleGrantPermission", grant), ("RoleGrantPermission", grant),
            ("RoleRevokePermission", revoke), ("UserGrantRole", give), ("UserGrantRole", give),
            ("UserRevokeRole", take), ("UserGet", auth_pb2.AuthUserGetRequest(name=user)),
        ]  # fmt: skip
        return self.dice.choice(changes)  # type: ignore[no-any-return]

    def valid_range(self) -> tuple[bytes, bytes]:
        """An etcd 3.4 takes others too, and comes to grief."""
        while True:
            key, range_end = self.dice.choice(KEYS), self.dice.choice(ENDS)
            if range_end in (b"", b"\0") or key < range_end:
                return key, range_end

    def put(self) -> tuple[str, Any]:
        value = b"%d" % self.dice.randint(0, 9)
        prev_kv = self.dice.random() < 0.3
        return "Put", rpc_pb2.PutRequest(key=self.dice.choice(KEYS), value=value, prev_kv=prev_kv)

    def delete(self) -> tuple[str, Any]:
        key, range_end = self.valid_range()
        prev_kv = self.dice.random() < 0.3
        return "DeleteRange", rpc_pb2.DeleteRangeRequest(
            key=key, range_end=range_end, prev_kv=prev_kv
        )

    def range(self) -> tuple[str, Any]:
        key, range_end = self.valid_range()
        return "Range", rpc_pb2.RangeRequest(key=key, range_end=range_end)

    def txn(self) -> tuple[str, Any]:
        compare = [
            rpc_pb2.Compare(key=key, range_end=range_end, target=0, version=0)  # type: ignore[arg-type]
            for key, range_end in (self.valid_range() for _ in range(self.dice.randint(0, 1)))
        ]
        branches = [[self.operation()] for _ in range(2)]
        return "Txn", rpc_pb2.TxnRequest(compare=compare, success=branches[0], failure=branches[1])

    def operation(self) -> Any:
        """Without what an etcd 3.4 does not check: the value before a put, and what is nested."""
        kind = self.dice.choice(["put", "delete_range", "range"])
        made = {"put": self.put, "delete_range": self.delete, "range": self.range}[kind]
        _, request = made()
        if kind == "put":
            request.prev_kv = False
        return rpc_pb2.RequestOp(**{f"request_{kind}": request})


@pytest.mark.parametrize("seed", [1, 2])
async def test_random_users_may_what_they_may_at_etcd(sides: list[Side], seed: int) -> None:
    requests = Requests(random.Random(seed))
    outcomes: dict[str, int] = {}
    for number in range(REQUESTS):
        asked = requests.any()
        theirs, ours = [await side.ask(*asked) for side in sides]
        assert ours == theirs, f"seed {seed}, request {number}: {asked}"
        outcome = theirs if isinstance(theirs, str) else "OK"
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    denied = outcomes["PERMISSION_DENIED: etcdserver: permission denied"]
    assert min(denied, outcomes["OK"]) > REQUESTS / 10, f"the requests are too tame: {outcomes}"
    roles = [await side.ask("root", "auth", "UserGet", auth_pb2.AuthUserGetRequest(name="anna"))
             for side in sides]  # fmt: skip
    assert roles[0] == roles[1]
