"""What a kubelet relies on in a container runtime, said over its CRI socket.

Derive from `RuntimeContract` and supply the fixture `running`: a runtime with a range of pod
addresses, the kubelet's client to it, and a way to make a container end by itself.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pytest

from podling.aiokit.tasks import TaskSet
from podling.node.cripb import api_pb2 as cri
from podling.node.kubelet.containers.container_config import SPEC_HASH
from podling.node.kubelet.cri.runtime_cache import Snapshot
from podling.node.kubelet.cri.runtime_client import RuntimeCallError, RuntimeClient, RuntimeEvent
from podling.node.kubelet.planning.runtime_status import Container, ContainerState

PATIENCE = 30.0


class Running(Protocol):
    """One runtime under test."""

    client: RuntimeClient
    log_directory: Path

    def command(self, name: str) -> list[str]:
        """What container `name` runs until `end` or a signal ends it."""

    def end(self, pod: str, name: str, code: int) -> None:
        """The container ends by itself with this code."""


@dataclass(slots=True)
class Events:
    """All events since it was opened."""

    seen: list[RuntimeEvent] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, check: Callable[[Snapshot], bool], what: str) -> Snapshot:
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    self.news.clear()
                    for event in self.seen:
                        if check(event.snapshot):
                            return event.snapshot
                    await self.news.wait()
        except TimeoutError:
            raise AssertionError(f"waited in vain for {what}; saw {self.seen}") from None


@asynccontextmanager
async def watching(client: RuntimeClient) -> AsyncIterator[Events]:
    events, connected = Events(), asyncio.Event()

    async def read() -> None:
        async with aclosing(client.events(connected.set)) as stream:
            async for event in stream:
                events.seen.append(event)
                events.news.set()

    async with TaskSet("contract") as tasks:
        tasks.spawn(read(), name="events")
        async with asyncio.timeout(PATIENCE):
            await connected.wait()
        yield events


def sandbox_config(running: Running, name: str = "web", attempt: int = 0) -> cri.PodSandboxConfig:
    directory = running.log_directory / name
    directory.mkdir(parents=True, exist_ok=True)
    return cri.PodSandboxConfig(
        metadata=cri.PodSandboxMetadata(
            name=name, uid=f"uid-{name}", namespace="default", attempt=attempt
        ),
        log_directory=str(directory),
        labels={"io.kubernetes.pod.uid": f"uid-{name}"},
    )


async def create(running: Running, sandbox_id: str, name: str = "app", attempt: int = 0) -> str:
    sandbox = sandbox_config(running)
    config = cri.ContainerConfig(
        metadata=cri.ContainerMetadata(name=name, attempt=attempt),
        image=cri.ImageSpec(image="example.com/app:1", user_specified_image="example.com/app:1"),
        command=running.command(name),
        annotations={SPEC_HASH: "0123abcd"},
        log_path=f"{name}-{attempt}.log",
    )
    return await running.client.create_container(sandbox_id, config, sandbox)


async def start(running: Running, sandbox_id: str, name: str = "app", attempt: int = 0) -> str:
    container_id = await create(running, sandbox_id, name, attempt)
    await running.client.start_container(container_id)
    return container_id


async def look(running: Running, sandbox_id: str) -> Snapshot:
    snapshot = await running.client.snapshot(sandbox_id)
    assert snapshot is not None
    return snapshot


def of(snapshot: Snapshot, container_id: str) -> Container:
    return next(each for each in snapshot.containers if each.id == container_id)


def state_is(container_id: str, state: ContainerState) -> Callable[[Snapshot], bool]:
    return lambda snapshot: any(
        each.id == container_id and each.state is state for each in snapshot.containers
    )


class RuntimeContract:
    async def test_it_says_who_it_is_and_that_it_is_ready(self, running: Running) -> None:
        name, version = await running.client.version()
        assert name
        assert version
        conditions = await running.client.conditions()
        assert conditions.ready
        assert conditions.network_ready

    async def test_a_sandbox_has_an_address_of_its_own(self, running: Running) -> None:
        one = await running.client.run_sandbox(sandbox_config(running, "one"))
        two = await running.client.run_sandbox(sandbox_config(running, "two"))
        first, second = await look(running, one), await look(running, two)
        assert first.sandbox.ready
        assert first.uid == "uid-one"
        assert first.sandbox.ips
        assert first.sandbox.ips != second.sandbox.ips
        assert set(await running.client.list_sandboxes()) == {one, two}

    async def test_a_container_is_created_then_runs_then_ends(self, running: Running) -> None:
        sandbox_id = await running.client.run_sandbox(sandbox_config(running))
        container_id = await create(running, sandbox_id)
        made = of(await look(running, sandbox_id), container_id)
        assert made.state is ContainerState.CREATED
        assert (made.name, made.attempt, made.sandbox_id) == ("app", 0, sandbox_id)
        assert made.spec_hash == "0123abcd"
        assert made.image == "example.com/app:1"
        assert made.log_path == str(running.log_directory / "web" / "app-0.log")
        await running.client.start_container(container_id)
        begun = of(await look(running, sandbox_id), container_id)
        assert begun.state is ContainerState.RUNNING
        assert begun.started_at >= begun.created_at > 0
        async with watching(running.client) as events:
            running.end("web", "app", 3)
            await events.until(state_is(container_id, ContainerState.EXITED), "its end")
        ended = of(await look(running, sandbox_id), container_id)
        assert (ended.exit_code, ended.reason) == (3, "Error")
        assert ended.finished_at >= ended.started_at

    async def test_success_is_called_completed(self, running: Running) -> None:
        sandbox_id = await running.client.run_sandbox(sandbox_config(running))
        async with watching(running.client) as events:
            container_id = await start(running, sandbox_id)
            running.end("web", "app", 0)
            seen = await events.until(state_is(container_id, ContainerState.EXITED), "its end")
        assert (of(seen, container_id).exit_code, of(seen, container_id).reason) == (0, "Completed")

    async def test_stopping_ends_a_container_by_its_signal(self, running: Running) -> None:
        sandbox_id = await running.client.run_sandbox(sandbox_config(running))
        container_id = await start(running, sandbox_id)
        async with asyncio.timeout(2 * PATIENCE):
            await running.client.stop_container(container_id, int(PATIENCE))
        ended = of(await look(running, sandbox_id), container_id)
        assert ended.state is ContainerState.EXITED
        assert ended.exit_code == 143
        await running.client.stop_container(container_id, int(PATIENCE))

    async def test_every_step_is_an_event_with_the_whole_state(self, running: Running) -> None:
        async with watching(running.client) as events:
            sandbox_id = await running.client.run_sandbox(sandbox_config(running))
            await events.until(lambda seen: seen.sandbox.ready, "the sandbox")
            container_id = await start(running, sandbox_id)
            await events.until(state_is(container_id, ContainerState.RUNNING), "the start")
            await running.client.stop_sandbox(sandbox_id)
            stopped = await events.until(lambda seen: not seen.sandbox.ready, "the stop")
            assert of(stopped, container_id).state is ContainerState.EXITED
            await running.client.remove_sandbox(sandbox_id)
            async with asyncio.timeout(PATIENCE):
                while not any(event.sandbox_removed for event in events.seen):
                    events.news.clear()
                    await events.news.wait()
            taken = [event.snapshot.taken_at for event in events.seen]
            assert taken == sorted(taken)

    async def test_an_answer_is_newer_than_the_events_before_it(self, running: Running) -> None:
        async with watching(running.client) as events:
            sandbox_id = await running.client.run_sandbox(sandbox_config(running))
            container_id = await start(running, sandbox_id)
            seen = await events.until(state_is(container_id, ContainerState.RUNNING), "the start")
            assert (await look(running, sandbox_id)).taken_at >= seen.taken_at

    async def test_removal_is_final_and_may_be_repeated(self, running: Running) -> None:
        sandbox_id = await running.client.run_sandbox(sandbox_config(running))
        await start(running, sandbox_id)
        for _ in range(2):
            await running.client.stop_sandbox(sandbox_id)
        for _ in range(2):
            await running.client.remove_sandbox(sandbox_id)
        assert await running.client.snapshot(sandbox_id) is None
        assert await running.client.list_sandboxes() == []

    async def test_a_container_can_be_removed_alone(self, running: Running) -> None:
        sandbox_id = await running.client.run_sandbox(sandbox_config(running))
        old = await start(running, sandbox_id)
        new = await start(running, sandbox_id, attempt=1)
        await running.client.remove_container(old)
        await running.client.remove_container(old)
        assert [each.id for each in (await look(running, sandbox_id)).containers] == [new]

    async def test_a_pod_may_have_a_second_sandbox_when_the_first_is_stopped(
        self, running: Running
    ) -> None:
        first = await running.client.run_sandbox(sandbox_config(running))
        await running.client.stop_sandbox(first)
        second = await running.client.run_sandbox(sandbox_config(running, attempt=1))
        assert (await look(running, second)).sandbox.attempt == 1
        assert not (await look(running, first)).sandbox.ready

    async def test_nothing_is_created_in_a_sandbox_that_is_not_there(
        self, running: Running
    ) -> None:
        with pytest.raises(RuntimeCallError):
            await create(running, "none")
        stopped = await running.client.run_sandbox(sandbox_config(running))
        await running.client.stop_sandbox(stopped)
        with pytest.raises(RuntimeCallError):
            await create(running, stopped)

    async def test_the_same_sandbox_and_container_are_made_only_once(
        self, running: Running
    ) -> None:
        sandbox_id = await running.client.run_sandbox(sandbox_config(running))
        with pytest.raises(RuntimeCallError):
            await running.client.run_sandbox(sandbox_config(running))
        await create(running, sandbox_id)
        with pytest.raises(RuntimeCallError):
            await create(running, sandbox_id)
