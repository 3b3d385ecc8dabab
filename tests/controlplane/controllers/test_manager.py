"""Terms of leadership."""

import pytest

from podling.controlplane.controllers.manager import ControllerConfig
from podling.kube import kinds
from tests.controlplane.controllers.objects import deployment
from tests.controlplane.controllers.world import CONFIG, running


async def test_what_happened_between_two_terms_is_made_up_for() -> None:
    async with running() as world:
        world.run_pods()
        await world.make(kinds.DEPLOYMENT, deployment(2))
        await world.until_counts("web", availableReplicas=2)
        await world.end_term()
        await world.patch(kinds.DEPLOYMENT, "web", {"spec": {"replicas": 3}})
        world.begin_term()
        await world.until_counts("web", availableReplicas=3)
        await world.end_term()
        await world.client.delete(
            kinds.DEPLOYMENT, "web", "default", propagation_policy="Background"
        )
        world.begin_term()

        async def nothing() -> bool:
            return not await world.list(kinds.POD)

        await world.until("the garbage is collected", nothing)


async def test_a_range_that_cannot_be_cut_is_refused_before_anything_runs() -> None:
    with pytest.raises(ValueError, match="no parts"):
        async with running(ControllerConfig(cluster_cidr="127.9.64.0/28")):
            raise AssertionError("it runs")
    assert CONFIG.node_cidr_mask_size == 24
