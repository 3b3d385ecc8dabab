"""Services, namespaces, garbage and nodes, running against the real API server."""

import asyncio

import pytest

from podling.aiokit.clock import system_wall_clock
from podling.aiokit.tasks import TaskSet
from podling.controlplane.controllers import taints
from podling.kube import conditions, kinds, meta, timestamps
from podling.kube.meta import Object
from tests.controlplane.controllers.objects import (
    deployment,
    node,
    owner_reference,
    pod,
    replica_set,
    service,
)
from tests.controlplane.controllers.world import World, running


def config_map(name: str, **metadata: object) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}}


async def endpoints(world: World) -> dict[str, Object]:
    """The conditions of the endpoints of all slices, by address."""
    slices = await world.list(kinds.ENDPOINT_SLICE)
    return {
        endpoint["addresses"][0]: endpoint["conditions"]
        for one in slices
        if meta.labels(one).get("kubernetes.io/service-name") == "web"
        for endpoint in one["endpoints"] or ()
    }


async def test_a_service_has_the_endpoints_that_are_ready() -> None:
    async with running() as world:
        await world.make(kinds.SERVICE, service())

        async def empty_slice() -> bool:
            return len(await world.list(kinds.ENDPOINT_SLICE)) >= 1

        await world.until("an empty slice says that somebody looked", empty_slice)
        world.run_pods()
        await world.make(kinds.DEPLOYMENT, deployment(2))

        async def two_ready() -> bool:
            found = await endpoints(world)
            return len(found) == 2 and all(state["ready"] for state in found.values())

        await world.until("two endpoints are ready", two_ready)
        await world.patch(kinds.DEPLOYMENT, "web", {"spec": {"replicas": 0}})

        async def none() -> bool:
            return await endpoints(world) == {}

        await world.until("no endpoint is left", none)
        slices = await world.list(kinds.ENDPOINT_SLICE)
        ours = [one for one in slices if meta.name(one).startswith("web-")]
        assert len(ours) == 1


async def test_a_deleted_namespace_takes_everything_with_it() -> None:
    async with running() as world:
        world.run_pods()
        made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "doomed"}}
        await world.client.create(kinds.NAMESPACE, made)
        await world.make(kinds.DEPLOYMENT, deployment(2), namespace="doomed")
        held = config_map("held", namespace="doomed", finalizers=["example.com/hold"])
        await world.client.create(kinds.CONFIG_MAP, held, "doomed")

        async def pods() -> bool:
            return len(await world.list(kinds.POD, "doomed")) == 2

        await world.until("there are pods", pods)
        await world.client.delete(kinds.NAMESPACE, "doomed")

        async def says_why() -> bool:
            found = await world.get(kinds.NAMESPACE, "doomed")
            listed = found["status"].get("conditions")
            remaining = conditions.find(listed, "NamespaceFinalizersRemaining")
            return remaining is not None and "example.com/hold" in remaining["message"]

        await world.until("the namespace says what holds it", says_why)
        assert await world.list(kinds.POD, "doomed") == []
        unheld = {"metadata": {"finalizers": None}}
        await world.client.patch(kinds.CONFIG_MAP, "held", unheld, "doomed")
        await world.until("it is gone", lambda: world.gone(kinds.NAMESPACE, "doomed"))
        assert await world.list(kinds.DEPLOYMENT, "doomed") == []


async def test_every_namespace_has_an_account_and_the_root_certificate() -> None:
    async with running() as world:
        certificate = await world.get(kinds.CONFIG_MAP, "kube-root-ca.crt")
        assert certificate["data"]["ca.crt"].startswith("-----BEGIN")
        await world.client.delete(kinds.SERVICE_ACCOUNT, "default", "default")

        async def is_back() -> bool:
            return not await world.gone(kinds.SERVICE_ACCOUNT, "default")

        await world.until("the account is back", is_back)
        await world.patch(kinds.CONFIG_MAP, "kube-root-ca.crt", {"data": {"ca.crt": "forged"}})

        async def is_right() -> bool:
            found = await world.get(kinds.CONFIG_MAP, "kube-root-ca.crt")
            return bool(found["data"] == certificate["data"])

        await world.until("the certificate is right again", is_right)


async def owned_pair(world: World) -> None:
    owner = await world.client.create(kinds.CONFIG_MAP, config_map("owner"), "default")
    reference = {**owner_reference(owner), "controller": False}
    dependent = config_map("dependent", ownerReferences=[reference])
    await world.client.create(kinds.CONFIG_MAP, dependent, "default")


@pytest.mark.parametrize("policy", ["Background", "Foreground"])
async def test_what_lost_its_owner_is_deleted(policy: str) -> None:
    async with running() as world:
        await owned_pair(world)
        await world.client.delete(kinds.CONFIG_MAP, "owner", "default", propagation_policy=policy)
        await world.until("the dependent", lambda: world.gone(kinds.CONFIG_MAP, "dependent"))
        await world.until("the owner", lambda: world.gone(kinds.CONFIG_MAP, "owner"))


async def test_orphans_stay_without_owner() -> None:
    async with running() as world:
        await owned_pair(world)
        await world.client.delete(kinds.CONFIG_MAP, "owner", "default", propagation_policy="Orphan")
        await world.until("the owner", lambda: world.gone(kinds.CONFIG_MAP, "owner"))
        dependent = await world.get(kinds.CONFIG_MAP, "dependent")
        assert meta.owner_references(dependent) == []


async def test_an_owner_that_never_was_is_found_out() -> None:
    async with running() as world:
        reference = {
            "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": "never",
        }  # fmt: skip
        dependent = config_map("dependent", ownerReferences=[reference])
        await world.client.create(kinds.CONFIG_MAP, dependent, "default")
        await world.until("it is gone", lambda: world.gone(kinds.CONFIG_MAP, "dependent"))


async def test_a_deleted_deployment_takes_replica_sets_and_pods_with_it() -> None:
    async with running() as world:
        world.run_pods()
        await world.make(kinds.DEPLOYMENT, deployment(2))
        await world.until_counts("web", availableReplicas=2)
        await world.client.delete(
            kinds.DEPLOYMENT, "web", "default", propagation_policy="Background"
        )

        async def nothing() -> bool:
            return not await world.list(kinds.POD) and not await world.list(kinds.REPLICA_SET)

        await world.until("nothing is left", nothing)


def lease(name: str) -> Object:
    renewed = timestamps.format_micro_time(system_wall_clock())
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": "kube-node-lease"},
        "spec": {"holderIdentity": name, "leaseDurationSeconds": 1, "renewTime": renewed},
    }


class Agents:
    """Nodes that renew their leases until they are silenced."""

    def __init__(self, world: World, tasks: TaskSet) -> None:
        self._world = world
        self._tasks = tasks
        self.silenced: set[str] = set()

    async def join(self, name: str) -> None:
        await self._world.client.create(kinds.NODE, node(name) | {"metadata": {"name": name}})
        await self._world.client.create(kinds.LEASE, lease(name))
        self._tasks.spawn(self._renew(name), name=name)

    async def _renew(self, name: str) -> None:
        while True:
            await asyncio.sleep(0.1)
            if name not in self.silenced:
                spec = {"spec": {"renewTime": lease(name)["spec"]["renewTime"]}}
                await self._world.client.patch(kinds.LEASE, name, spec, "kube-node-lease")


async def test_nodes_get_networks_by_their_number() -> None:
    async with running() as world, TaskSet("agents") as tasks:
        agents = Agents(world, tasks)
        for name in ("node-2", "node-1"):
            await agents.join(name)

        async def both() -> bool:
            nodes = await world.list(kinds.NODE, "")
            networks = {meta.name(one): one["spec"].get("podCIDR") for one in nodes}
            return networks == {"node-1": "127.9.65.0/24", "node-2": "127.9.66.0/24"}

        await world.until("both have their networks", both)


async def test_pods_of_a_silent_node_are_unready_then_replaced() -> None:
    async with running() as world, TaskSet("agents") as tasks:
        agents = Agents(world, tasks)
        for name in ("node-1", "node-2"):
            await agents.join(name)
        await world.make(kinds.REPLICA_SET, replica_set("r", 1))

        async def created() -> bool:
            return len(await world.list(kinds.POD)) == 1

        await world.until("a pod is there", created)
        [victim] = await world.list(kinds.POD)
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": meta.name(victim)},
            "target": {"kind": "Node", "name": "node-1"},
        }
        await world.client.create_subresource(
            kinds.POD, meta.name(victim), "binding", binding, "default"
        )
        world.run_pods()

        async def runs() -> bool:
            pods = await world.list(kinds.POD)
            return [one["status"]["phase"] for one in pods] == ["Running"]

        await world.until("the pod runs", runs)
        agents.silenced.add("node-1")

        async def tainted() -> bool:
            found = await world.get(kinds.NODE, "node-1")
            return bool(taints.of_effect(found, taints.NO_EXECUTE))

        await world.until("the node is tainted", tainted)
        silent = await world.get(kinds.NODE, "node-1")
        assert taints.ready_status(silent) == "Unknown"
        assert taints.ready_status(await world.get(kinds.NODE, "node-2")) == "True"

        async def replaced() -> bool:
            pods = await world.list(kinds.POD)
            return len(pods) == 1 and meta.uid(pods[0]) != meta.uid(victim)

        await world.until("the pod is replaced", replaced)
        agents.silenced.clear()
        ready = [{"type": "Ready", "status": "True"}]

        async def healed() -> bool:
            found = await world.get(kinds.NODE, "node-1")
            if taints.ready_status(found) != "True":
                found["status"]["conditions"] = ready
                await world.client.update(kinds.NODE, found, "status")
                return False
            return not found["spec"].get("taints")

        await world.until("the node is as before", healed)


async def test_an_agent_that_posts_its_status_is_alive() -> None:
    async with running() as world, TaskSet("agents") as tasks:
        agents = Agents(world, tasks)
        for name in ("node-1", "node-2"):
            await agents.join(name)
        agents.silenced.add("node-1")

        async def tainted() -> bool:
            found = await world.get(kinds.NODE, "node-1")
            return bool(taints.of_effect(found, taints.NO_EXECUTE))

        await world.until("the node is tainted", tainted)
        found = await world.get(kinds.NODE, "node-1")
        found["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
        await world.client.update(kinds.NODE, found, "status")

        async def welcome() -> bool:
            found = await world.get(kinds.NODE, "node-1")
            assert taints.ready_status(found) == "True"
            return not found["spec"].get("taints")

        await world.until("the taints go", welcome)


async def test_nobody_is_evicted_while_every_node_is_silent() -> None:
    async with running() as world, TaskSet("agents") as tasks:
        agents = Agents(world, tasks)
        await agents.join("node-1")
        agents.silenced.add("node-1")

        async def unknown() -> bool:
            found = await world.get(kinds.NODE, "node-1")
            return taints.ready_status(found) == "Unknown" and bool(found["spec"].get("taints"))

        await world.until("the node is unknown", unknown)
        found = await world.get(kinds.NODE, "node-1")
        assert taints.of_effect(found, taints.NO_EXECUTE) == []
        assert len(taints.of_effect(found, taints.NO_SCHEDULE)) == 1


async def test_pods_of_a_deleted_node_are_removed() -> None:
    async with running() as world:
        await world.make(kinds.POD, pod("lost", node="nowhere"))
        await world.until("the pod is gone", lambda: world.gone(kinds.POD, "lost"))
