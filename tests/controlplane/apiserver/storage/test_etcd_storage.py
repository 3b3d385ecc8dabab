"""The storage over the etcd protocol passes the suite of all stores, against a real etcd."""

import asyncio
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import grpc
import grpc.aio
import pytest

from podling.aiokit.tasks import TaskSet
from podling.controlplane.apiserver.storage.etcd_endpoints import EtcdConfig
from podling.controlplane.apiserver.storage.etcd_storage import EtcdStorage, EtcdWatch
from podling.controlplane.apiserver.storage.interface import Unavailable
from podling.controlplane.etcdpb import rpc_pb2, rpc_pb2_grpc
from tests.contract.storage import PATIENCE, StorageContract
from tests.controlplane.apiserver.api import CONFIG_MAPS, config_map, running_api
from tests.ports import free_ports

ETCD = shutil.which("etcd")
START_SECONDS = 40.0


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An etcd of its own for the tests of this file."""
    if ETCD is None:
        pytest.skip("no etcd on this machine (apt install etcd-server)")
    client, peer = free_ports(2)
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [
                ETCD,
                f"--data-dir={folder}",
                f"--listen-client-urls=http://127.0.0.1:{client}",
                f"--advertise-client-urls=http://127.0.0.1:{client}",
                f"--listen-peer-urls=http://127.0.0.1:{peer}",
                f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
                f"--initial-cluster=default=http://127.0.0.1:{peer}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield f"127.0.0.1:{client}"
        finally:
            process.terminate()
            process.wait()


async def answers(storage: EtcdStorage) -> None:
    """Wait until etcd has elected itself."""
    async with asyncio.timeout(START_SECONDS):
        while True:
            try:
                await storage.get(b"ready")
                return
            except Unavailable:
                await asyncio.sleep(0.05)


class TestEtcdStorage(StorageContract):
    @pytest.fixture
    async def storage(self, endpoint: str) -> AsyncIterator[EtcdStorage]:
        storage = EtcdStorage(EtcdConfig([endpoint]))
        await storage.start()
        await answers(storage)
        yield storage
        everything = await storage.list(b"/contract/", b"/contract0")
        for kv in everything.kvs:
            await storage.delete(kv.key, expected_revision=kv.mod_revision)
        await storage.stop()


async def test_a_store_that_is_not_there_is_unavailable() -> None:
    [port] = free_ports(1)
    storage = EtcdStorage(EtcdConfig([f"127.0.0.1:{port}"], timeout=2.0))
    await storage.start()
    try:
        with pytest.raises(Unavailable):
            await storage.get(b"a")
        with pytest.raises(Unavailable):
            await storage.put(b"a", b"", expected_revision=0)
    finally:
        await storage.stop()


async def test_an_api_server_stands_on_it(endpoint: str) -> None:
    storage = EtcdStorage(EtcdConfig([endpoint]))
    await storage.start()
    await answers(storage)
    try:
        async with running_api(storage) as api:
            start = (await api.get(CONFIG_MAPS)).json["metadata"]["resourceVersion"]
            watch = await api.watch(f"{CONFIG_MAPS}?resourceVersion={start}")
            for name in ("a", "b", "c"):
                await api.create(CONFIG_MAPS, config_map(name))
                listed = (await api.get(CONFIG_MAPS)).json
                assert listed["items"][-1]["metadata"]["name"] == name
            await api.patch(f"{CONFIG_MAPS}/a", {"data": {"k": "v"}})
            await api.delete(f"{CONFIG_MAPS}/b")
            seen = ["ADDED a", "ADDED b", "ADDED c", "MODIFIED a", "DELETED b"]
            assert await watch.brief(5) == seen
            past = f"{CONFIG_MAPS}?resourceVersion={start}&resourceVersionMatch=Exact"
            assert (await api.get(past)).json["items"] == []
    finally:
        await storage.stop()


async def test_members_that_are_not_there_are_passed_over(endpoint: str) -> None:
    dead, gone = (f"127.0.0.1:{port}" for port in free_ports(2))
    storage = EtcdStorage(EtcdConfig([dead, endpoint, gone]))
    await storage.start()
    await answers(storage)
    try:
        for number in range(4):
            key = b"/failover/%d" % number
            written = await storage.put(key, b"v", expected_revision=0)
            assert written.succeeded
            assert (await storage.get(key)).revision >= written.revision
            watch = await storage.watch(key, key + b"\0", after_revision=written.revision - 1)
            async with asyncio.timeout(PATIENCE):
                batch = await anext(aiter(watch))
            assert [event.kv.key for event in batch.events] == [key]
            await watch.close()
            await storage.delete(key, expected_revision=written.revision)
    finally:
        await storage.stop()


async def test_a_member_that_hangs_keeps_nobody_from_reading(endpoint: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hung:
        [_, port] = hung.getsockname()
        storage = EtcdStorage(EtcdConfig([endpoint, f"127.0.0.1:{port}"], patience=1.0))
        await storage.start()
        try:
            for _ in range(4):
                await storage.get(b"a")
        finally:
            await storage.stop()


@asynccontextmanager
async def silent_member() -> AsyncIterator[str]:
    """The address of one that takes calls to watch, and neither reads nor answers."""

    async def say_nothing(_requests: object, _context: object) -> None:
        await asyncio.Event().wait()

    server = grpc.aio.server()
    silent = {"Watch": grpc.stream_stream_rpc_method_handler(say_nothing)}
    service = grpc.method_handlers_generic_handler("etcdserverpb.Watch", silent)
    server.add_generic_rpc_handlers((service,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


async def no_watch_begins(address: str) -> None:
    """It is found unavailable: who watches tries again then, and would die of another error."""
    storage = EtcdStorage(EtcdConfig([address], timeout=0.1))
    await storage.start()
    try:
        with pytest.raises(Unavailable, match=r"did not begin the watch within 0\.1 s"):
            await storage.watch(b"a", b"b", after_revision=1)
    finally:
        await storage.stop()


async def test_the_only_member_may_be_too_busy_to_begin_a_watch() -> None:
    async with silent_member() as address:
        await no_watch_begins(address)


async def test_the_only_member_may_be_too_busy_to_shake_hands() -> None:
    with socket.create_server(("127.0.0.1", 0)) as hung:
        [_, port] = hung.getsockname()
        await no_watch_begins(f"127.0.0.1:{port}")


async def test_who_writes_to_a_watch_while_it_is_closed_goes_on() -> None:
    """The call is cancelled, and not the task of whoever asks it for progress."""
    more_than_is_sent_unread = rpc_pb2.WatchCreateRequest(key=bytes(10_000_000))
    async with silent_member() as address, grpc.aio.insecure_channel(address) as channel:
        call = rpc_pb2_grpc.WatchStub(channel).Watch()
        watch = EtcdWatch(call)
        async with TaskSet("test") as tasks:
            request = rpc_pb2.WatchRequest(create_request=more_than_is_sent_unread)
            writing = tasks.spawn(watch.send(request), name="write")
            await call.wait_for_connection()
            await asyncio.sleep(0)
            assert not writing.done()
            await watch.close()
            with pytest.raises(Unavailable, match="the watch is over: it was closed"):
                await writing
