"""`podling.cluster.v1` over a real TLS socket."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import orjson
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from podling.controlplane.apiserver.cluster_grpc.server import (
    ClusterReport,
    GrpcServer,
    GrpcServerConfig,
    ReplicaReport,
)
from podling.controlplane.apiserver.cluster_grpc.status_codes import STATUS_METADATA
from podling.controlplane.apiserver.rest.http_server import TlsFiles
from podling.controlplane.clusterpb import cluster_pb2, cluster_pb2_grpc
from tests.controlplane.apiserver.api import PATIENCE, Api, config_map
from tests.controlplane.apiserver.server import HOST, Certificates

CONFIG_MAP = cluster_pb2.Kind(api_version="v1", kind="ConfigMap")
WatchEvent = cluster_pb2.WatchEvent


async def report() -> ClusterReport:
    return ClusterReport(
        "replica-2",
        "replica-1",
        (
            ReplicaReport("replica-1", "127.9.255.1:2380", "leader"),
            ReplicaReport("replica-2", "127.9.255.2:2380", "follower", 3, 41, 40),
            ReplicaReport("replica-3", "127.9.255.3:2380"),
        ),
    )


@dataclass
class Client:
    channel: grpc.aio.Channel

    @property
    def objects(self) -> Any:
        return cluster_pb2_grpc.ObjectsStub(self.channel)

    @property
    def cluster(self) -> Any:
        return cluster_pb2_grpc.ClusterStub(self.channel)

    async def create(self, body: Any, **more: Any) -> Any:
        request = cluster_pb2.CreateRequest(
            kind=CONFIG_MAP, namespace="default", object=orjson.dumps(body), **more
        )
        return orjson.loads((await self.objects.Create(request)).object)


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@pytest.fixture
async def server(api: Api, certificates: Certificates) -> AsyncIterator[GrpcServer]:
    pem = certificates.path
    tls = TlsFiles(str(pem("server.crt")), str(pem("server.key")), str(pem("ca.crt")))
    server = GrpcServer(GrpcServerConfig(f"{HOST}:0", tls, "1.2.3"), api.core, report)
    await server.start()
    yield server
    await server.stop()


def connect(server: GrpcServer, certificates: Certificates, user: str) -> grpc.aio.Channel:
    read = {name: certificates.path(name).read_bytes() for name in
            ("ca.crt", f"{user}.key", f"{user}.crt")}  # fmt: skip
    credentials = grpc.ssl_channel_credentials(  # type: ignore[no-untyped-call]
        read["ca.crt"], read[f"{user}.key"], read[f"{user}.crt"]
    )
    return grpc.aio.secure_channel(f"{HOST}:{server.port}", credentials)


@pytest.fixture
async def admin(server: GrpcServer, certificates: Certificates) -> AsyncIterator[Client]:
    async with connect(server, certificates, "admin") as channel:
        yield Client(channel)


async def refused(call: Any) -> tuple[grpc.StatusCode, Any]:
    """The code of a call that must fail, and the Status in its trailing metadata."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    trailing = dict(caught.value.trailing_metadata() or ())
    return caught.value.code(), orjson.loads(trailing[STATUS_METADATA])


async def test_objects_are_created_read_changed_and_deleted(admin: Client) -> None:
    created = await admin.create(config_map("a", {"k": "1"}))
    where: dict[str, Any] = {"kind": CONFIG_MAP, "namespace": "default", "name": "a"}
    read = await admin.objects.Get(cluster_pb2.GetRequest(**where))
    assert orjson.loads(read.object) == created
    body = orjson.dumps({**created, "data": {"k": "2"}})
    updated = await admin.objects.Update(cluster_pb2.UpdateRequest(**where, object=body))
    assert orjson.loads(updated.object)["data"] == {"k": "2"}
    for type_, patch in (
        (cluster_pb2.PatchRequest.MERGE, {"data": {"m": "1"}}),
        (cluster_pb2.PatchRequest.STRATEGIC_MERGE, {"data": {"s": "1"}}),
        (cluster_pb2.PatchRequest.JSON, [{"op": "remove", "path": "/data/k"}]),
    ):
        request = cluster_pb2.PatchRequest(**where, type=type_, patch=orjson.dumps(patch))
        patched = await admin.objects.Patch(request)
    assert orjson.loads(patched.object)["data"] == {"m": "1", "s": "1"}
    deleted = await admin.objects.Delete(cluster_pb2.DeleteRequest(**where))
    assert orjson.loads(deleted.object)["status"] == "Success"
    code, status = await refused(admin.objects.Get(cluster_pb2.GetRequest(**where)))
    assert (code, status["reason"]) == (grpc.StatusCode.NOT_FOUND, "NotFound")


async def test_what_is_unwise_is_warned_of(admin: Client) -> None:
    body = orjson.dumps({**config_map("a"), "spec": 1, "more": 2})
    request = cluster_pb2.CreateRequest(kind=CONFIG_MAP, namespace="default", object=body)
    answer = await admin.objects.Create(request)
    assert list(answer.warnings) == ['unknown field "spec"', 'unknown field "more"']


async def test_pages_of_a_list(admin: Client) -> None:
    for name in ("a", "b", "c"):
        await admin.create(config_map(name))
    seen, token = [], ""
    for _ in range(2):
        page = await admin.objects.List(
            cluster_pb2.ListRequest(
                kind=CONFIG_MAP, namespace="default", limit=2, continue_token=token
            )
        )
        seen += [orjson.loads(one)["metadata"]["name"] for one in page.objects]
        token = page.continue_token
    assert (seen, token) == (["a", "b", "c"], "")


async def test_a_watch_tells_the_state_and_what_follows(admin: Client) -> None:
    await admin.create(config_map("a"))
    watch = admin.objects.Watch(
        cluster_pb2.WatchRequest(kind=CONFIG_MAP, namespace="default", bookmarks=True)
    )
    async with asyncio.timeout(PATIENCE):
        first, complete = await watch.read(), await watch.read()
        assert first.type == WatchEvent.ADDED
        assert complete.type == WatchEvent.STATE_COMPLETE
        await admin.create(config_map("b"))
        second = await watch.read()
    assert orjson.loads(second.object)["metadata"]["name"] == "b"
    watch.cancel()


async def test_a_watch_ends_in_time(admin: Client, api: Api) -> None:
    request = cluster_pb2.WatchRequest(kind=CONFIG_MAP, resource_version="1", timeout_seconds=1)
    async with asyncio.timeout(PATIENCE):
        assert [event async for event in admin.objects.Watch(request)] == []
    assert api.core.cache.watch_count() == 0


@pytest.mark.parametrize(
    ("method", "request_", "code"),
    [
        ("Get", cluster_pb2.GetRequest(), grpc.StatusCode.NOT_FOUND),
        ("Get", cluster_pb2.GetRequest(kind=CONFIG_MAP), grpc.StatusCode.INVALID_ARGUMENT),
        ("Delete", cluster_pb2.DeleteRequest(kind=CONFIG_MAP, namespace="default"),
         grpc.StatusCode.INVALID_ARGUMENT),
        ("Create", cluster_pb2.CreateRequest(kind=CONFIG_MAP, namespace="default", object=b"{"),
         grpc.StatusCode.INVALID_ARGUMENT),
        ("List", cluster_pb2.ListRequest(kind=CONFIG_MAP, label_selector="!!"),
         grpc.StatusCode.INVALID_ARGUMENT),
        ("List", cluster_pb2.ListRequest(kind=CONFIG_MAP, resource_version="x"),
         grpc.StatusCode.INVALID_ARGUMENT),
        ("List", cluster_pb2.ListRequest(kind=CONFIG_MAP, continue_token="x"),
         grpc.StatusCode.INVALID_ARGUMENT),
    ],
)  # fmt: skip
async def test_a_bad_call_is_refused(
    admin: Client, method: str, request_: Any, code: grpc.StatusCode
) -> None:
    found, status = await refused(getattr(admin.objects, method)(request_))
    assert found == code, status
    assert status["kind"] == "Status"


async def test_callers_may_do_what_they_may_do_elsewhere(
    server: GrpcServer, certificates: Certificates
) -> None:
    async with connect(server, certificates, "nobody") as channel:
        client = Client(channel)
        listing = client.objects.List(cluster_pb2.ListRequest(kind=CONFIG_MAP))
        code, status = await refused(listing)
        assert code == grpc.StatusCode.PERMISSION_DENIED
        assert 'User "nobody" cannot list resource "configmaps"' in status["message"]
        watch = client.objects.Watch(cluster_pb2.WatchRequest(kind=CONFIG_MAP))
        code, _ = await refused(watch.read())
        assert code == grpc.StatusCode.PERMISSION_DENIED


async def test_nobody_comes_in_without_a_certificate(
    server: GrpcServer, certificates: Certificates
) -> None:
    ca = certificates.path("ca.crt").read_bytes()
    credentials = grpc.ssl_channel_credentials(ca)  # type: ignore[no-untyped-call]
    async with grpc.aio.secure_channel(f"{HOST}:{server.port}", credentials) as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await Client(channel).cluster.Status(cluster_pb2.StatusRequest())


async def test_the_cluster_tells_its_replicas(admin: Client) -> None:
    status = await admin.cluster.Status(cluster_pb2.StatusRequest())
    assert (status.replica, status.leader, status.version) == ("replica-2", "replica-1", "1.2.3")
    roles = [(one.name, one.role) for one in status.replicas]
    assert roles == [
        ("replica-1", cluster_pb2.Replica.LEADER),
        ("replica-2", cluster_pb2.Replica.FOLLOWER),
        ("replica-3", cluster_pb2.Replica.UNKNOWN),
    ]
    assert (status.replicas[1].term, status.replicas[1].applied_index) == (3, 40)


async def test_health_and_reflection_are_on(admin: Client) -> None:
    health = health_pb2_grpc.HealthStub(admin.channel)
    answer = await health.Check(health_pb2.HealthCheckRequest(service="podling.cluster.v1.Objects"))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    reflected = reflection_pb2_grpc.ServerReflectionStub(admin.channel).ServerReflectionInfo()
    await reflected.write(reflection_pb2.ServerReflectionRequest(list_services=""))
    listed = await reflected.read()
    names = {service.name for service in listed.list_services_response.service}
    assert {"podling.cluster.v1.Objects", "podling.cluster.v1.Cluster"} <= names
    reflected.cancel()
