"""The same random requests to our state machine and to a real etcd: the same answers, word by word.

Covers requests, responses, error texts and codes, and the events that a watch from the beginning
sees. Skipped where no etcd is installed (Debian: apt install etcd-server).
"""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from podling.controlplane.etcdpb import rpc_pb2, rpc_pb2_grpc
from podling.controlplane.store import request_checks
from podling.controlplane.store import requests as rq
from podling.controlplane.store.errors import StoreError
from podling.controlplane.store.etcd import messages
from podling.controlplane.store.machine import commands, ranges, transactions
from podling.controlplane.store.machine.state_machine import StoreStateMachine
from tests.controlplane.store.etcd.clients import anonymous, needs_etcd, real_etcd
from tests.controlplane.store.members import PATIENCE

KEYS = [b"a", b"b", b"bb", b"c", b"d"]
ENDS = [b"", b"", b"\0", b"b", b"c", b"e", b"a"]
REQUESTS = 600

pytestmark = needs_etcd


@pytest.fixture
async def etcd(tmp_path: Path) -> AsyncIterator[grpc.aio.Channel]:
    async with real_etcd(tmp_path) as channel:
        yield channel


class Ours:
    """Answers etcd's messages from the state machine, as a store of one member would."""

    def __init__(self) -> None:
        self.machine = StoreStateMachine(lambda: 0.0, max_pending_bytes=10**9)
        self.writer = messages.ResponseWriter(0, 0, lambda: 0)

    def answer(self, message: Any) -> Any:
        try:
            return self._answer(message)
        except StoreError as error:
            return f"{error.status}: {error}"

    def _answer(self, message: Any) -> Any:
        if isinstance(message, rpc_pb2.RangeRequest):
            asked = messages.range_request(message)
            request_checks.check_range(asked)
            return self.writer.range(ranges.execute(self.machine.store, asked))
        if isinstance(message, rpc_pb2.PutRequest):
            put = messages.put_request(message)
            request_checks.check_put(put)
            return self.writer.put(self._apply(put))
        if isinstance(message, rpc_pb2.DeleteRangeRequest):
            delete = messages.delete_range_request(message)
            request_checks.check_delete_range(delete)
            return self.writer.delete_range(self._apply(delete))
        if isinstance(message, rpc_pb2.CompactionRequest):
            done = self._apply(rq.CompactionRequest(message.revision))
            return rpc_pb2.CompactionResponse(header=self.writer.header(done.revision))
        return self.writer.txn(self._txn(messages.txn_request(message)))

    def _txn(self, txn: rq.TxnRequest) -> rq.TxnResponse:
        request_checks.check_txn(txn, 128)
        if rq.is_read_only(txn):
            return transactions.execute(self.machine.store, self.machine.leases, txn)
        return self._apply(txn)  # type: ignore[no-any-return]

    def _apply(self, request: commands.Command) -> Any:
        result = self.machine.apply(1, 1, commands.encode(request))
        if isinstance(result, StoreError):
            raise result
        return result


class Requests:
    """Random requests, now and then wrong ones; `revision` is about where the store is."""

    def __init__(self, dice: random.Random) -> None:
        self.dice: Any = dice
        self.revision = 1

    def any(self) -> Any:
        kinds = [self.put, self.put, self.delete, self.range, self.range, self.txn, self.txn]
        if self.dice.random() < 0.03:
            return rpc_pb2.CompactionRequest(revision=self.a_revision())
        return self.dice.choice(kinds)()

    def flag(self, chance: float = 0.2) -> bool:
        return bool(self.dice.random() < chance)

    def key(self) -> bytes:
        return b"" if self.flag(0.02) else self.dice.choice(KEYS)

    def a_revision(self) -> int:
        return max(self.revision - int(self.dice.randint(-2, 15)), 0)

    def put(self) -> Any:
        return rpc_pb2.PutRequest(
            key=self.key(),
            value=self.dice.choice([b"1", b"2", b"3", b""]),
            prev_kv=self.flag(),
            ignore_value=self.flag(0.1),
            ignore_lease=self.flag(0.1),
            lease=77 if self.flag(0.03) else 0,
        )

    def delete(self) -> Any:
        return rpc_pb2.DeleteRangeRequest(
            key=self.key(), range_end=self.dice.choice(ENDS), prev_kv=self.flag()
        )

    def bounded_delete(self) -> Any:
        """Without an upper bound, beside a put of such a key, it would end an etcd 3.4."""
        request = self.delete()
        if request.range_end == b"\0":
            request.range_end = b"e"
        return request

    def range(self) -> Any:
        return rpc_pb2.RangeRequest(
            key=self.key(),
            range_end=self.dice.choice(ENDS),
            limit=self.dice.choice([0, 0, 1, 2]),
            revision=self.a_revision() if self.flag(0.4) else 0,
            sort_order=self.dice.choice([0, 0, 1, 2]),
            # Only targets without ties, in which etcd's order is not defined.
            sort_target=self.dice.choice([0] * 8 + [2, 3]),
            keys_only=self.flag(),
            count_only=self.flag(0.1),
            min_mod_revision=self.a_revision() if self.flag(0.1) else 0,
            max_mod_revision=self.a_revision() if self.flag(0.1) else 0,
            min_create_revision=self.a_revision() if self.flag(0.1) else 0,
            max_create_revision=self.a_revision() if self.flag(0.1) else 0,
        )

    def compare(self) -> Any:
        targets = [
            (0, {"version": self.dice.randint(0, 3)}),
            (1, {"create_revision": self.a_revision() if self.flag(0.5) else 0}),
            (2, {"mod_revision": self.a_revision() if self.flag(0.5) else 0}),
            (3, {"value": self.dice.choice([b"1", b"2", b""])}),
            (4, {"lease": 0}),
        ]
        target, operand = self.dice.choice(targets)
        return rpc_pb2.Compare(
            key=self.key(),
            range_end=self.dice.choice(ENDS) if self.flag() else b"",
            result=self.dice.randint(0, 3),
            target=target,
            **operand,
        )

    def operation(self, depth: int) -> Any:
        kind = self.dice.choice(["put", "delete_range", "range", "range", "txn"])
        if kind == "txn":
            kind = "txn" if depth < 2 else "range"
        made: Any = {
            "put": self.put, "delete_range": self.bounded_delete, "range": self.range,
            "txn": lambda: self.txn(depth + 1),
        }[kind]  # fmt: skip
        return rpc_pb2.RequestOp(**{f"request_{kind}": made()})

    def txn(self, depth: int = 0) -> Any:
        return rpc_pb2.TxnRequest(
            compare=[self.compare() for _ in range(self.dice.randint(0, 2))],
            success=[self.operation(depth) for _ in range(self.dice.randint(0, 3))],
            failure=[self.operation(depth) for _ in range(self.dice.randint(0, 2))],
        )


async def ask(kv: Any, message: Any) -> Any:
    methods = {
        rpc_pb2.RangeRequest: kv.Range,
        rpc_pb2.PutRequest: kv.Put,
        rpc_pb2.DeleteRangeRequest: kv.DeleteRange,
        rpc_pb2.TxnRequest: kv.Txn,
        rpc_pb2.CompactionRequest: kv.Compact,
    }
    try:
        return await methods[type(message)](message)
    except grpc.aio.AioRpcError as error:
        return f"{error.code().name}: {error.details()}"


def comparable(answer: Any) -> Any:
    return answer if isinstance(answer, str) else anonymous(answer)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_random_requests_get_the_answers_of_etcd(etcd: grpc.aio.Channel, seed: int) -> None:
    requests, ours = Requests(random.Random(seed)), Ours()
    kv = rpc_pb2_grpc.KVStub(etcd)
    errors = set()
    for number in range(REQUESTS):
        message = requests.any()
        theirs, mine = comparable(await ask(kv, message)), comparable(ours.answer(message))
        assert mine == theirs, f"seed {seed}, request {number}:\n{message}"
        requests.revision = ours.machine.store.revision
        errors |= {theirs} if isinstance(theirs, str) else set()
        ours.machine.store.sweep(requests.dice.randint(0, 5))
    assert len(errors) >= 5, f"the requests are too tame: only {errors}"
    assert await their_events(etcd, ours.machine.store) == our_events(ours.machine.store)


def our_events(store: Any) -> list[Any]:
    first = store.compact_revision + 1
    return [
        messages._event(event)
        for at in range(first, store.revision + 1)
        for event in store.events(at)
    ]


async def their_events(etcd: grpc.aio.Channel, store: Any) -> list[Any]:
    create = rpc_pb2.WatchCreateRequest(
        key=b"\0", range_end=b"\0", start_revision=store.compact_revision + 1, prev_kv=True
    )
    call = rpc_pb2_grpc.WatchStub(etcd).Watch()
    await call.write(rpc_pb2.WatchRequest(create_request=create))
    events: list[Any] = []
    async with asyncio.timeout(PATIENCE):
        while not events or events[-1].kv.mod_revision < store.revision:
            events += (await call.read()).events
    call.cancel()
    return events
