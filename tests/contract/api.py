"""What every API server promises to clients, informers and leader election.

Derive from `ApiContract` and supply the fixture `client` (an administrator's). Objects are made
under names of their own, so the server may be shared between tests.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from podling.kube import kinds, meta
from podling.kube.client import JSON_PATCH, STRATEGIC_MERGE_PATCH, Client
from podling.kube.errors import (
    AlreadyExists,
    BadRequest,
    Conflict,
    NotFound,
    UnsupportedMediaType,
)
from podling.kube.meta import Object
from podling.kube.watch_frames import WatchEvent

PATIENCE = 30.0
"""Seconds until something that never comes is a failure."""

_numbers = itertools.count(1)


def fresh_name(prefix: str = "c") -> str:
    return f"{prefix}-{next(_numbers)}"


def config_map(name: str = "", **more: Any) -> Object:
    metadata = {"name": name or fresh_name(), "namespace": "default", **more.pop("metadata", {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **more}


def pod(name: str = "", **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name or fresh_name("p"), "namespace": "default"},
        "spec": {"containers": [{"name": "main", "image": "example", "command": ["true"]}], **spec},
    }


def node(name: str = "") -> Object:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name or fresh_name("n")}}


def binding(name: str, node_name: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": name, "namespace": "default"},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node_name},
    }


@asynccontextmanager
async def watching(
    client: Client, revision: str, label_selector: str = ""
) -> AsyncIterator["Reader"]:
    """Watches the ConfigMaps of `default`."""
    async with client.watch(
        kinds.CONFIG_MAP, "default", resource_version=revision, label_selector=label_selector
    ) as events:
        yield Reader(events)


class Reader:
    def __init__(self, events: AsyncIterator[WatchEvent]) -> None:
        self._events = events

    async def next(self) -> WatchEvent:
        """The next event that is no bookmark."""
        async with asyncio.timeout(PATIENCE):
            while True:
                event = await anext(self._events)
                if event.type != "BOOKMARK":
                    return event

    async def names(self, count: int) -> list[tuple[str, str]]:
        events = [await self.next() for _ in range(count)]
        return [(event.type, meta.name(event.object)) for event in events]


class ObjectContract:
    """Creating, reading, updating, patching."""

    async def test_what_is_created_can_be_read_and_has_an_identity(self, client: Client) -> None:
        made = await client.create(kinds.CONFIG_MAP, config_map(data={"a": "1"}))
        assert meta.uid(made)
        assert int(meta.resource_version(made)) > 0
        assert made["metadata"]["creationTimestamp"].endswith("Z")
        assert await client.get(kinds.CONFIG_MAP, meta.name(made), "default") == made

    async def test_a_name_is_taken_once(self, client: Client) -> None:
        name = fresh_name()
        await client.create(kinds.CONFIG_MAP, config_map(name))
        with pytest.raises(AlreadyExists, match=f'configmaps "{name}" already exists'):
            await client.create(kinds.CONFIG_MAP, config_map(name))

    async def test_names_are_made_up_from_their_beginning(self, client: Client) -> None:
        wanted = config_map(metadata={"name": "", "generateName": "web-"})
        first = await client.create(kinds.CONFIG_MAP, wanted)
        second = await client.create(kinds.CONFIG_MAP, wanted)
        assert meta.name(first).startswith("web-") and len(meta.name(first)) == 9
        assert meta.name(first) != meta.name(second)

    async def test_what_is_not_there_is_not_found(self, client: Client) -> None:
        with pytest.raises(NotFound, match='configmaps "no" not found'):
            await client.get(kinds.CONFIG_MAP, "no", "default")
        with pytest.raises(NotFound, match='configmaps "no" not found'):
            await client.delete(kinds.CONFIG_MAP, "no", "default")
        with pytest.raises(NotFound, match='namespaces "nowhere" not found'):
            await client.create(kinds.CONFIG_MAP, config_map(metadata={"namespace": "nowhere"}))
        with pytest.raises(NotFound, match="the server could not find the requested resource"):
            await client.raw("GET", "/apis/example.org/v1/things")

    async def test_an_update_needs_the_newest_revision(self, client: Client) -> None:
        made = await client.create(kinds.CONFIG_MAP, config_map())
        newer = await client.update(kinds.CONFIG_MAP, {**made, "data": {"a": "1"}})
        assert int(meta.resource_version(newer)) > int(meta.resource_version(made))
        with pytest.raises(Conflict, match="the object has been modified"):
            await client.update(kinds.CONFIG_MAP, {**made, "data": {"a": "2"}})
        assert (await client.get(kinds.CONFIG_MAP, meta.name(made), "default"))["data"] == {
            "a": "1"
        }

    async def test_a_write_that_changes_nothing_is_no_event(self, client: Client) -> None:
        made = await client.create(kinds.CONFIG_MAP, config_map(data={"a": "1"}))
        assert await client.update(kinds.CONFIG_MAP, made) == made

    async def test_spec_and_status_are_written_apart(self, client: Client) -> None:
        made = await client.create(kinds.POD, pod())
        both = {**made, "status": {"phase": "Running"}}
        both["metadata"] = {**made["metadata"], "labels": {"a": "b"}}
        after = await client.update(kinds.POD, both)
        assert after["status"]["phase"] == "Pending"
        assert meta.labels(after) == {"a": "b"}
        both["metadata"] = {**after["metadata"], "labels": {}}
        after = await client.update(kinds.POD, both, "status")
        assert after["status"]["phase"] == "Running"
        assert meta.labels(after) == {"a": "b"}

    async def test_patches_of_every_type_change_what_they_name(self, client: Client) -> None:
        made = await client.create(kinds.CONFIG_MAP, config_map(data={"a": "1", "b": "2"}))
        name = meta.name(made)
        await client.patch(kinds.CONFIG_MAP, name, {"data": {"a": None, "c": "3"}}, "default")
        await client.patch(
            kinds.CONFIG_MAP,
            name,
            [{"op": "replace", "path": "/data/b", "value": "4"}],
            "default",
            content_type=JSON_PATCH,
        )
        after = await client.patch(
            kinds.CONFIG_MAP,
            name,
            {"data": {"d": "5"}},
            "default",
            content_type=STRATEGIC_MERGE_PATCH,
        )
        assert after["data"] == {"b": "4", "c": "3", "d": "5"}

    async def test_a_strategic_patch_merges_conditions_by_type(self, client: Client) -> None:
        made = await client.create(kinds.POD, pod())
        for type_, status in (("A", "True"), ("B", "True"), ("A", "False")):
            after = await client.patch(
                kinds.POD,
                meta.name(made),
                {"status": {"conditions": [{"type": type_, "status": status}]}},
                "default",
                content_type=STRATEGIC_MERGE_PATCH,
                subresource="status",
            )
        found = {item["type"]: item["status"] for item in after["status"]["conditions"]}
        assert found["A"] == "False" and found["B"] == "True"

    async def test_a_patch_for_another_object_or_revision_is_a_conflict(
        self, client: Client
    ) -> None:
        made = await client.create(kinds.CONFIG_MAP, config_map())
        for metadata in ({"uid": "other"}, {"resourceVersion": "1"}):
            with pytest.raises(Conflict):
                await client.patch(
                    kinds.CONFIG_MAP, meta.name(made), {"metadata": metadata}, "default"
                )

    async def test_a_patch_of_no_known_type_is_refused(self, client: Client) -> None:
        made = await client.create(kinds.CONFIG_MAP, config_map())
        with pytest.raises(UnsupportedMediaType):
            await client.patch(
                kinds.CONFIG_MAP, meta.name(made), {}, "default", content_type="text/plain"
            )


class DeletionContract:
    """Deletion, with finalizers and grace; binding."""

    async def test_a_deleted_object_is_gone(self, client: Client) -> None:
        made = await client.create(kinds.CONFIG_MAP, config_map())
        await client.delete(kinds.CONFIG_MAP, meta.name(made), "default", uid=meta.uid(made))
        with pytest.raises(NotFound):
            await client.get(kinds.CONFIG_MAP, meta.name(made), "default")

    async def test_deletion_can_be_bound_to_a_uid_and_a_revision(self, client: Client) -> None:
        made = await client.create(kinds.CONFIG_MAP, config_map())
        with pytest.raises(Conflict):
            await client.delete(kinds.CONFIG_MAP, meta.name(made), "default", uid="other")
        with pytest.raises(Conflict):
            await client.delete(kinds.CONFIG_MAP, meta.name(made), "default", resource_version="1")

    async def test_finalizers_keep_a_deleted_object_until_they_are_gone(
        self, client: Client
    ) -> None:
        made = await client.create(
            kinds.CONFIG_MAP, config_map(metadata={"finalizers": ["example.org/x"]})
        )
        name = meta.name(made)
        await client.delete(kinds.CONFIG_MAP, name, "default")
        left = await client.get(kinds.CONFIG_MAP, name, "default")
        assert meta.is_deleting(left)
        await client.patch(kinds.CONFIG_MAP, name, {"metadata": {"finalizers": None}}, "default")
        with pytest.raises(NotFound):
            await client.get(kinds.CONFIG_MAP, name, "default")

    async def test_a_pod_on_a_node_is_deleted_in_two_steps(self, client: Client) -> None:
        await client.create(kinds.NODE, node(name := fresh_name("n")))
        made = await client.create(kinds.POD, pod(nodeName=name))
        await client.delete(kinds.POD, meta.name(made), "default")
        left = await client.get(kinds.POD, meta.name(made), "default")
        assert meta.is_deleting(left)
        assert left["metadata"]["deletionGracePeriodSeconds"] == 30
        await client.delete(kinds.POD, meta.name(made), "default", grace_period_seconds=0)
        with pytest.raises(NotFound):
            await client.get(kinds.POD, meta.name(made), "default")

    async def test_a_pod_without_a_node_is_deleted_at_once(self, client: Client) -> None:
        made = await client.create(kinds.POD, pod())
        await client.delete(kinds.POD, meta.name(made), "default")
        with pytest.raises(NotFound):
            await client.get(kinds.POD, meta.name(made), "default")

    async def test_a_pod_is_bound_once(self, client: Client) -> None:
        await client.create(kinds.NODE, node(name := fresh_name("n")))
        made = await client.create(kinds.POD, pod())
        bind = binding(meta.name(made), name)
        await client.create_subresource(kinds.POD, meta.name(made), "binding", bind, "default")
        bound = await client.get(kinds.POD, meta.name(made), "default")
        assert bound["spec"]["nodeName"] == name
        conditions = {item["type"]: item["status"] for item in bound["status"]["conditions"]}
        assert conditions["PodScheduled"] == "True"
        with pytest.raises(Conflict, match="already assigned to node"):
            await client.create_subresource(kinds.POD, meta.name(made), "binding", bind, "default")


class WatchContract:
    """Lists and watches."""

    async def test_lists_select_by_labels_and_fields(self, client: Client) -> None:
        label = fresh_name()
        for value in ("x", "y"):
            await client.create(kinds.CONFIG_MAP, config_map(metadata={"labels": {label: value}}))
        found = await client.list(kinds.CONFIG_MAP, label_selector=f"{label} in (x,z)")
        assert [meta.labels(obj)[label] for obj in found.items] == ["x"]
        name = meta.name(found.items[0])
        found = await client.list(kinds.CONFIG_MAP, field_selector=f"metadata.name={name}")
        assert [meta.name(obj) for obj in found.items] == [name]
        assert found.items[0]["kind"] == "ConfigMap"
        with pytest.raises(BadRequest):
            await client.list(kinds.CONFIG_MAP, field_selector="data.a=1")

    async def test_pages_make_one_list_of_one_revision(self, client: Client) -> None:
        label = fresh_name()
        for _ in range(5):
            await client.create(kinds.CONFIG_MAP, config_map(metadata={"labels": {label: ""}}))
        whole = await client.list(kinds.CONFIG_MAP, "default", label_selector=label)
        pages = [
            page
            async for page in client.pages(
                kinds.CONFIG_MAP, "default", label_selector=label, limit=2
            )
        ]
        assert [len(page.items) for page in pages] == [2, 2, 1]
        assert len({page.resource_version for page in pages}) == 1
        assert [obj for page in pages for obj in page.items] == whole.items

    async def test_a_watch_from_a_list_misses_nothing_and_repeats_nothing(
        self, client: Client
    ) -> None:
        await client.create(kinds.CONFIG_MAP, config_map())
        start = (await client.list(kinds.CONFIG_MAP, "default")).resource_version
        name = meta.name(made := await client.create(kinds.CONFIG_MAP, config_map()))
        async with watching(client, start) as reader:
            assert await reader.names(1) == [("ADDED", name)]
            changed = await client.update(kinds.CONFIG_MAP, {**made, "data": {"a": "1"}})
            event = await reader.next()
            assert (event.type, event.object) == ("MODIFIED", changed)
            await client.delete(kinds.CONFIG_MAP, name, "default")
            event = await reader.next()
            assert event.type == "DELETED"
            assert event.object["data"] == {"a": "1"}
            assert int(meta.resource_version(event.object)) > int(meta.resource_version(changed))

    async def test_a_watch_resumes_from_any_event(self, client: Client) -> None:
        start = (await client.list(kinds.CONFIG_MAP, "default")).resource_version
        made = [await client.create(kinds.CONFIG_MAP, config_map()) for _ in range(3)]
        names = [("ADDED", meta.name(obj)) for obj in made]
        async with watching(client, start) as reader:
            assert await reader.names(3) == names
        async with watching(client, meta.resource_version(made[0])) as reader:
            assert await reader.names(2) == names[1:]

    async def test_an_object_that_leaves_the_selection_is_deleted_for_the_watcher(
        self, client: Client
    ) -> None:
        label = fresh_name()
        start = (await client.list(kinds.CONFIG_MAP, "default")).resource_version
        async with watching(client, start, label_selector=label) as reader:
            name = meta.name(await client.create(kinds.CONFIG_MAP, config_map()))
            for value in ("x", None):
                patch = {"metadata": {"labels": {label: value}}}
                last = await client.patch(kinds.CONFIG_MAP, name, patch, "default")
            assert (await reader.next()).type == "ADDED"
            event = await reader.next()
            assert event.type == "DELETED"
            assert meta.labels(event.object) == {label: "x"}
            assert meta.resource_version(event.object) == meta.resource_version(last)

    async def test_a_watch_without_a_revision_begins_with_what_there_is(
        self, client: Client
    ) -> None:
        label = fresh_name()
        made = await client.create(kinds.CONFIG_MAP, config_map(metadata={"labels": {label: ""}}))
        async with watching(client, "", label_selector=label) as reader:
            assert await reader.names(1) == [("ADDED", meta.name(made))]

    async def test_a_watch_ends_in_good_order_when_its_time_is_up(self, client: Client) -> None:
        start = (await client.list(kinds.CONFIG_MAP, "default")).resource_version
        async with asyncio.timeout(PATIENCE):
            async with client.watch(
                kinds.CONFIG_MAP, "default", resource_version=start, timeout_seconds=1
            ) as events:
                async for _ in events:
                    pass

    async def test_a_watch_from_the_future_begins_when_that_has_come(self, client: Client) -> None:
        """Another server may be ahead of this one."""
        start = (await client.list(kinds.CONFIG_MAP, "default")).resource_version
        async with watching(client, str(int(start) + 1)) as reader:
            await client.create(kinds.CONFIG_MAP, config_map())
            name = meta.name(await client.create(kinds.CONFIG_MAP, config_map()))
            assert await reader.names(1) == [("ADDED", name)]


class ApiContract(ObjectContract, DeletionContract, WatchContract):
    """All of it."""
