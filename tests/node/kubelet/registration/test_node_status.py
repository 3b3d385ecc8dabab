"""Registration, readiness and heartbeats of a node, against the API server in memory."""

import asyncio

from podling.kube import kinds
from podling.kube.meta import Object
from tests.node.kubelet.certificates import Certificates
from tests.node.kubelet.node_harness import NODE, Node, condition, node


async def node_object(of: Node) -> Object:
    return await of.client.get(kinds.NODE, NODE)


async def test_a_node_registers_and_waits_for_its_range_of_addresses(idle_node: Node) -> None:
    await idle_node.start_kubelet()
    await idle_node.until(
        lambda: _message_has(idle_node, "no range of pod addresses"), "the reason to be told"
    )
    assert condition(await node_object(idle_node), "Ready") == "False"
    await idle_node.assign_pod_cidr("127.9.70.0/24")
    await idle_node.until(lambda: _is_ready(idle_node), "Ready")
    assert idle_node.runtime.pod_cidr == "127.9.70.0/24"


async def test_a_ready_node_says_what_it_has(ready_node: Node) -> None:
    await ready_node.until(lambda: _is_ready(ready_node), "Ready")
    made = await node_object(ready_node)
    status = made["status"]
    assert made["metadata"]["labels"]["kubernetes.io/hostname"] == NODE
    assert {"type": "InternalIP", "address": "127.0.0.1"} in status["addresses"]
    assert {"type": "Hostname", "address": NODE} in status["addresses"]
    assert ready_node.kubelet is not None
    port = status["daemonEndpoints"]["kubeletEndpoint"]["Port"]
    assert port == ready_node.kubelet.port
    assert status["capacity"]["pods"] == "110"
    assert status["allocatable"]["memory"].endswith("Ki")
    assert status["nodeInfo"]["containerRuntimeVersion"] == "memory://0.1.0"
    assert condition(made, "MemoryPressure") == "False"


async def test_labels_and_amounts_can_be_given(certificates: Certificates) -> None:
    changes = {"labels": {"zone": "a"}, "capacity": {"cpu": "64"}}
    async with node(certificates, **changes) as made:
        await made.ready()
        found = await node_object(made)
    assert found["metadata"]["labels"]["zone"] == "a"
    assert found["status"]["capacity"]["cpu"] == "64"


async def test_the_node_s_address_may_come_from_its_range(certificates: Certificates) -> None:
    async with node(certificates, addresses=()) as made:
        await made.start_kubelet()
        await made.assign_pod_cidr("127.9.71.0/24")
        await made.until(lambda: _is_ready(made), "Ready")
        found = await node_object(made)
    assert {"type": "InternalIP", "address": "127.9.71.1"} in found["status"]["addresses"]


async def test_the_lease_is_renewed_again_and_again(ready_node: Node) -> None:
    async def renewed() -> Object | None:
        leases = (await ready_node.client.list(kinds.LEASE, "kube-node-lease")).items
        return leases[0] if leases else None

    first = await ready_node.until(renewed, "the lease")
    assert first["spec"]["holderIdentity"] == NODE
    assert first["spec"]["leaseDurationSeconds"] == 4
    assert first["metadata"]["ownerReferences"][0]["kind"] == "Node"

    async def later() -> bool:
        lease = await renewed()
        return lease is not None and lease["spec"]["renewTime"] > first["spec"]["renewTime"]

    await ready_node.until(later, "the lease to be renewed")


async def test_a_node_called_dead_says_that_it_is_not(ready_node: Node) -> None:
    await ready_node.until(lambda: _is_ready(ready_node), "Ready")
    dead = await node_object(ready_node)
    for entry in dead["status"]["conditions"]:
        entry["status"] = "Unknown"
    dead["status"]["conditions"].append({"type": "NetworkUnavailable", "status": "False"})
    await ready_node.client.update(kinds.NODE, dead, "status")
    await ready_node.until(lambda: _is_ready(ready_node), "Ready again")
    assert condition(await node_object(ready_node), "NetworkUnavailable") == "False"


async def test_a_kubelet_that_comes_back_keeps_the_node(ready_node: Node) -> None:
    before = await node_object(ready_node)
    await ready_node.stop_kubelet()
    await ready_node.ready()
    after = await node_object(ready_node)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["spec"] == before["spec"]


async def test_a_kubelet_waits_for_an_api_server_that_is_not_there_yet(idle_node: Node) -> None:
    idle_node.api.down = True
    await idle_node.start_kubelet()
    idle_node.api.down = False
    await idle_node.assign_pod_cidr()
    await idle_node.until(lambda: _is_ready(idle_node), "Ready")


async def test_a_deleted_node_is_not_made_again_nor_spoken_for(ready_node: Node) -> None:
    async def leases() -> list[Object]:
        return (await ready_node.client.list(kinds.LEASE, "kube-node-lease")).items

    await ready_node.until(leases, "the lease")
    await ready_node.client.delete(kinds.NODE, NODE)
    assert ready_node.kubelet is not None
    status = ready_node.kubelet._node
    await ready_node.until(lambda: not status.exists, "the deletion to be seen")
    before = await leases()
    # Time for three renewals, none of which may come.
    await asyncio.sleep(0.3)
    assert await leases() == before
    assert (await ready_node.client.list(kinds.NODE)).items == []


async def _is_ready(of: Node) -> bool:
    return condition(await node_object(of), "Ready") == "True"


async def _message_has(of: Node, text: str) -> bool:
    nodes = (await of.client.list(kinds.NODE)).items
    return any(text in str(each["status"]["conditions"]) for each in nodes)
