"""The scheduler against the simulated API server."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest

from podling.controlplane.scheduler import scheduler as scheduling
from podling.controlplane.scheduler.decide import decide
from podling.controlplane.scheduler.pending import PendingConfig
from podling.controlplane.scheduler.scheduler import Scheduler, SchedulerConfig
from podling.kube import conditions, kinds
from podling.kube.client import Client
from podling.kube.event_recorder import EventRecorder
from podling.kube.informer import InformerFactory
from podling.kube.meta import Object
from podling.kube.transport import HttpRequest, HttpResponse, TransportError
from podling.simulate.api_server import MemoryApiServer
from tests.controlplane.scheduler.objects import node, pod
from tests.waiting import POLL_SECONDS

PATIENCE = 30.0
CONFIG = SchedulerConfig(pending=PendingConfig(backoff_first=0.02, backoff_cap=0.05))


class Server(MemoryApiServer):
    """One whose bindings can be made to fail, before or after they were carried out."""

    def __init__(self) -> None:
        numbers = itertools.count()
        super().__init__(lambda: 1000.0, lambda: f"id-{next(numbers):05}")
        self.before: list[Exception] = []
        self.after: list[Exception] = []
        self.bindings = 0

    async def request(self, request: HttpRequest, *, timeout: float) -> HttpResponse:
        if not request.path.endswith("/binding"):
            return await super().request(request, timeout=timeout)
        self.bindings += 1
        if self.before:
            raise self.before.pop()
        answer = await super().request(request, timeout=timeout)
        if self.after:
            raise self.after.pop()
        return answer


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def client(server: Server) -> Client:
    return Client(server, user_agent="test")


@asynccontextmanager
async def scheduling_with(
    client: Client, config: SchedulerConfig = CONFIG
) -> AsyncIterator[InformerFactory]:
    dice = Random(1)
    informers = InformerFactory(client, dice)
    events = EventRecorder(client, "default-scheduler", lambda: 1000.0)
    scheduler = Scheduler(config, client, informers, events, dice=dice, wall_clock=lambda: 1000.0)
    components = (informers, events, scheduler)
    for component in components:
        await component.start()
    try:
        yield informers
    finally:
        for component in reversed(components):
            await component.stop()


async def make(client: Client, *objects: Object) -> None:
    for obj in objects:
        kind = kinds.find_kind(obj["apiVersion"], obj["kind"])
        assert kind is not None
        await client.create(kind, obj)


async def until(client: Client, holds: Callable[[dict[str, Object]], bool], what: str) -> None:
    """Wait until `holds` is true of the pods by name."""
    pods: dict[str, Object] = {}
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                found = await client.list(kinds.POD, "default")
                pods = {each["metadata"]["name"]: each for each in found.items}
                if holds(pods):
                    return
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise AssertionError(f"never happened: {what}; pods: {pods}") from None


async def bound(client: Client, **wanted: str) -> None:
    """Wait until the named pods are on the named nodes; an empty name stands for any node."""

    def holds(pods: dict[str, Object]) -> bool:
        return all(
            (on := pods[name]["spec"].get("nodeName")) and where in ("", on)
            for name, where in wanted.items()
        )

    await until(client, holds, f"pods on nodes as in {wanted}")


async def refused(client: Client, name: str, message: str) -> None:
    def holds(pods: dict[str, Object]) -> bool:
        found = conditions.find(pods[name]["status"].get("conditions"), "PodScheduled") or {}
        return (found.get("status"), found.get("message")) == ("False", message)

    await until(client, holds, f"{name}: {message}")


async def reported(client: Client, reason: str) -> list[str]:
    """The messages of the Events with that reason, once there are any."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found = await client.list(kinds.EVENT, field_selector=f"reason={reason}")
            if found.items:
                return [event["message"] for event in found.items]
            await asyncio.sleep(POLL_SECONDS)


async def test_waiting_pods_are_spread_over_the_nodes(client: Client) -> None:
    await make(client, *(node(f"n{number}") for number in range(3)))
    await make(client, *(pod(f"p{number}", owner="web") for number in range(3)))
    async with scheduling_with(client):
        await bound(client, p0="", p1="", p2="")
        found = await client.list(kinds.POD, "default")
        assert len({each["spec"]["nodeName"] for each in found.items}) == 3


async def test_a_pod_made_later_is_given_a_node_and_an_event_says_so(client: Client) -> None:
    await make(client, node("n1"))
    async with scheduling_with(client):
        await make(client, pod("late"))
        await bound(client, late="n1")
        assert await reported(client, "Scheduled") == ["Successfully assigned default/late to n1"]


async def test_a_pod_that_fits_nowhere_says_why_and_gets_the_node_that_comes(
    client: Client,
) -> None:
    await make(client, node("small", cpu="1"))
    async with scheduling_with(client):
        await make(client, pod("big", requests={"cpu": "2"}))
        message = "0/1 nodes are available: 1 Insufficient cpu."
        await refused(client, "big", message)
        assert await reported(client, "FailedScheduling") == [message]
        await make(client, node("large"))
        await bound(client, big="large")


async def test_room_that_another_pod_leaves_is_used(client: Client) -> None:
    await make(client, node("n1", cpu="1"), pod("first", requests={"cpu": "1"}))
    async with scheduling_with(client):
        await bound(client, first="n1")
        await make(client, pod("second", requests={"cpu": "1"}))
        await refused(client, "second", "0/1 nodes are available: 1 Insufficient cpu.")
        await client.delete(kinds.POD, "first", "default", grace_period_seconds=0)
        await bound(client, second="n1")


async def test_a_finished_pod_leaves_its_room(client: Client) -> None:
    await make(client, node("n1", cpu="1"), pod("first", requests={"cpu": "1"}))
    async with scheduling_with(client):
        await bound(client, first="n1")
        await make(client, pod("second", requests={"cpu": "1"}))
        await refused(client, "second", "0/1 nodes are available: 1 Insufficient cpu.")
        done = {"status": {"phase": "Succeeded"}}
        await client.patch(kinds.POD, "first", done, "default", subresource="status")
        await bound(client, second="n1")


async def test_a_node_that_is_uncordoned_is_used_at_once(client: Client) -> None:
    await make(client, node("n1", unschedulable=True))
    async with scheduling_with(client):
        await make(client, pod("p"))
        await refused(client, "p", "0/1 nodes are available: 1 node(s) were unschedulable.")
        await client.patch(kinds.NODE, "n1", {"spec": {"unschedulable": None}})
        await bound(client, p="n1")


async def test_a_gated_pod_waits_for_its_gate(client: Client, server: Server) -> None:
    await make(client, node("n1"))
    async with scheduling_with(client):
        await make(client, pod("gated", schedulingGates=[{"name": "x"}]), pod("free"))
        await bound(client, free="n1")
        assert server.bindings == 1
        await client.patch(kinds.POD, "gated", {"spec": {"schedulingGates": None}}, "default")
        await bound(client, gated="n1")


async def test_pods_of_other_schedulers_are_left_alone(client: Client, server: Server) -> None:
    await make(client, node("n1"), pod("other", schedulerName="mine"), pod("own"))
    async with scheduling_with(client):
        await bound(client, own="n1")
        assert server.bindings == 1


async def test_decisions_do_not_wait_for_bindings_and_never_fill_a_node_twice(
    client: Client,
) -> None:
    await make(client, *(node(f"n{number}", cpu="2") for number in range(2)))
    await make(client, *(pod(f"p{number}", requests={"cpu": "1"}) for number in range(6)))
    async with scheduling_with(client):

        def four_bound(pods: dict[str, Object]) -> bool:
            return sum("nodeName" in each["spec"] for each in pods.values()) == 4

        await until(client, four_bound, "four pods bound")
        waiting = [
            each
            for each in (await client.list(kinds.POD, "default")).items
            if "nodeName" not in each["spec"]
        ]
        for each in waiting:
            await refused(
                client,
                each["metadata"]["name"],
                "0/2 nodes are available: 2 Insufficient cpu.",
            )


async def test_a_binding_that_failed_is_tried_again(client: Client, server: Server) -> None:
    server.before.append(TransportError("connection refused"))
    await make(client, node("n1"), pod("p"))
    async with scheduling_with(client):
        await bound(client, p="n1")
        assert server.bindings == 2
        (message,) = await reported(client, "FailedScheduling")
        assert message == "binding to n1 failed: connection refused"


async def test_a_binding_of_unknown_outcome_is_settled_by_what_is_seen(
    client: Client, server: Server
) -> None:
    server.after.append(TransportError("no answer"))
    await make(client, node("n1", cpu="1"), pod("p", requests={"cpu": "1"}))
    async with scheduling_with(client):
        await bound(client, p="n1")
        await make(client, pod("q", requests={"cpu": "1"}))
        await refused(client, "q", "0/1 nodes are available: 1 Insufficient cpu.")


async def test_a_pod_deleted_and_made_again_under_its_name_is_a_new_pod(
    client: Client, server: Server
) -> None:
    await make(client, node("n1", cpu="1"))
    async with scheduling_with(client):
        for _ in range(3):
            await make(client, pod("p", requests={"cpu": "1"}))
            await bound(client, p="n1")
            await client.delete(kinds.POD, "p", "default", grace_period_seconds=0)


async def test_many_pods_are_bound_within_the_bound_of_bindings_in_flight(
    client: Client, server: Server
) -> None:
    await make(client, *(node(f"n{number}", pods="200") for number in range(3)))
    await make(client, *(pod(f"p{number}", owner="web") for number in range(150)))
    config = SchedulerConfig(bindings_in_flight=4)
    async with scheduling_with(client, config):
        await bound(client, **{f"p{number}": "" for number in range(150)})
    assert server.bindings == 150


async def test_a_pod_that_cannot_be_decided_about_does_not_stop_the_others(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    usual = decide

    def fail_on_one(pod: Any, *more: Any) -> Any:
        if pod.key == "default/strange":
            raise ZeroDivisionError
        return usual(pod, *more)

    monkeypatch.setattr(scheduling, "decide", fail_on_one)
    await make(client, node("n1"), pod("strange"), pod("plain"))
    async with scheduling_with(client):
        await bound(client, plain="n1")
    assert "cannot decide about default/strange" in caplog.text


async def test_a_successor_starts_from_what_its_predecessor_left(client: Client) -> None:
    await make(client, node("n1", cpu="1"), pod("first", requests={"cpu": "1"}))
    async with scheduling_with(client):
        await bound(client, first="n1")
    await make(client, pod("second", requests={"cpu": "1"}))
    async with scheduling_with(client):
        await refused(client, "second", "0/1 nodes are available: 1 Insufficient cpu.")
