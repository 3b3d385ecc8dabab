"""Deployments and ReplicaSets, running against the real API server."""

from podling.controlplane.controllers import revisions
from podling.kube import conditions, kinds, meta
from podling.kube.meta import Object
from tests.controlplane.controllers.objects import deployment, pod, replica_set, template
from tests.controlplane.controllers.world import World, running


def spec_with(image: str) -> Object:
    return {"spec": {"template": template(image)}}


def images(pods: list[Object]) -> set[str]:
    return {one["spec"]["containers"][0]["image"] for one in pods}


async def complete(world: World, replicas: int) -> Object:
    return await world.until_counts(
        "web",
        replicas=replicas,
        updatedReplicas=replicas,
        readyReplicas=replicas,
        availableReplicas=replicas,
    )


async def test_a_deployment_gets_its_pods_and_says_so() -> None:
    async with running() as world:
        world.run_pods()
        await world.make(kinds.DEPLOYMENT, deployment(3))
        found = await complete(world, 3)
        assert meta.annotations(found)[revisions.REVISION] == "1"
        listed = found["status"]["conditions"]
        assert conditions.is_true(listed, "Available")
        progressing = conditions.find(listed, "Progressing")
        assert progressing is not None
        assert progressing["reason"] == "NewReplicaSetAvailable"
        [owner] = await world.list(kinds.REPLICA_SET)
        assert meta.is_controlled_by(owner, found)
        assert len(await world.list(kinds.POD)) == 3


async def test_a_new_template_rolls_out_and_back_again() -> None:
    async with running() as world:
        world.run_pods()
        await world.make(kinds.DEPLOYMENT, deployment(3))
        await complete(world, 3)
        await world.patch(kinds.DEPLOYMENT, "web", spec_with("web:2"))
        found = await complete(world, 3)
        assert meta.annotations(found)[revisions.REVISION] == "2"

        async def only(image: str) -> bool:
            return images(await world.list(kinds.POD)) == {image}

        await world.until("all pods are new", lambda: only("web:2"))
        await world.patch(kinds.DEPLOYMENT, "web", spec_with("web:1"))
        found = await complete(world, 3)
        await world.until("all pods are old again", lambda: only("web:1"))
        assert meta.annotations(found)[revisions.REVISION] == "3"
        numbers = {
            meta.annotations(one)[revisions.REVISION] for one in await world.list(kinds.REPLICA_SET)
        }
        assert numbers == {"2", "3"}


async def test_a_broken_template_stops_at_what_may_be_unavailable() -> None:
    async with running() as world:
        world.run_pods()
        await world.make(kinds.DEPLOYMENT, deployment(4))
        await complete(world, 4)
        world.ready = False
        await world.patch(kinds.DEPLOYMENT, "web", spec_with("web:broken"))
        found = await world.until_counts("web", updatedReplicas=2, availableReplicas=3)
        assert found["status"]["replicas"] == 5
        # A change of mind rolls over: the broken one gives way to the third.
        world.ready = True
        await world.patch(kinds.DEPLOYMENT, "web", spec_with("web:3"))
        await complete(world, 4)


async def test_scaling_changes_the_pods_only() -> None:
    async with running() as world:
        world.run_pods()
        await world.make(kinds.DEPLOYMENT, deployment(2))
        await complete(world, 2)
        await world.client.patch(
            kinds.DEPLOYMENT, "web", {"spec": {"replicas": 5}}, "default", subresource="scale"
        )
        await complete(world, 5)
        await world.patch(kinds.DEPLOYMENT, "web", {"spec": {"replicas": 1}})
        await complete(world, 1)
        assert len(await world.list(kinds.REPLICA_SET)) == 1


async def test_recreate_never_mixes_templates() -> None:
    async with running() as world:
        world.run_pods()
        await world.make(kinds.DEPLOYMENT, deployment(2, strategy={"type": "Recreate"}))
        await complete(world, 2)
        seen: list[set[str]] = []

        async def watching() -> bool:
            seen.append(images(await world.list(kinds.POD)))
            return seen[-1] == {"web:2"}

        await world.patch(kinds.DEPLOYMENT, "web", spec_with("web:2"))
        await world.until("all pods are new", watching)
        assert {"web:1", "web:2"} not in seen
        await complete(world, 2)


async def test_a_paused_deployment_waits() -> None:
    async with running() as world:
        world.run_pods()
        await world.make(kinds.DEPLOYMENT, deployment(2))
        await complete(world, 2)
        paused = {"spec": {"paused": True, "template": template("web:2")}}
        await world.patch(kinds.DEPLOYMENT, "web", paused)
        found = await world.until_counts("web", updatedReplicas=0, availableReplicas=2)
        progressing = conditions.find(found["status"]["conditions"], "Progressing")
        assert progressing is not None
        assert progressing["reason"] == "DeploymentPaused"
        await world.patch(kinds.DEPLOYMENT, "web", {"spec": {"paused": False}})
        await complete(world, 2)


async def test_history_is_kept_up_to_its_limit() -> None:
    async with running() as world:
        world.run_pods()
        await world.make(kinds.DEPLOYMENT, deployment(1, revisionHistoryLimit=1))
        for number in (1, 2, 3):
            await world.patch(kinds.DEPLOYMENT, "web", spec_with(f"web:{number}"))
            await complete(world, 1)

        async def two() -> bool:
            return len(await world.list(kinds.REPLICA_SET)) == 2

        await world.until("one old replica set is left", two)


async def test_a_rollout_that_stands_still_says_so() -> None:
    async with running() as world:
        await world.make(kinds.DEPLOYMENT, deployment(1, progressDeadlineSeconds=1))

        async def late() -> bool:
            status = (await world.get(kinds.DEPLOYMENT, "web")).get("status") or {}
            found = conditions.find(status.get("conditions"), "Progressing")
            return found is not None and found["reason"] == "ProgressDeadlineExceeded"

        await world.until("the deadline is missed", late)


async def test_a_replica_set_adopts_and_releases() -> None:
    async with running() as world:
        await world.make(kinds.POD, pod("orphan", node=""))
        await world.make(kinds.REPLICA_SET, replica_set("r", 2))

        async def two_of_ours() -> bool:
            pods = await world.list(kinds.POD)
            owned = [one for one in pods if meta.controller_of(one)]
            return len(pods) == 2 and len(owned) == 2

        await world.until("the orphan is adopted and one more created", two_of_ours)
        await world.patch(kinds.POD, "orphan", {"metadata": {"labels": {"app": "other"}}})

        async def released() -> bool:
            return meta.controller_of(await world.get(kinds.POD, "orphan")) is None

        await world.until("the pod is released", released)

        async def replaced() -> bool:
            return len(await world.list(kinds.POD)) == 3

        await world.until("another takes its place", replaced)


async def test_a_deleted_pod_is_replaced() -> None:
    async with running() as world:
        world.run_pods()
        await world.make(kinds.REPLICA_SET, replica_set("r", 2))

        async def two() -> list[Object]:
            return [
                one for one in await world.list(kinds.POD) if one["status"]["phase"] == "Running"
            ]

        async def there_are_two() -> bool:
            return len(await two()) == 2

        await world.until("two run", there_are_two)
        victim = (await two())[0]
        await world.client.delete(kinds.POD, meta.name(victim), "default")

        async def replaced() -> bool:
            now = await two()
            return len(now) == 2 and all(meta.uid(one) != meta.uid(victim) for one in now)

        await world.until("it is replaced", replaced)
        status = (await world.get(kinds.REPLICA_SET, "r"))["status"]
        assert status["replicas"] == 2
