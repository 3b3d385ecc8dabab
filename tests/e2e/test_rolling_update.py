"""A rolling update under load loses nothing."""

import pytest

from podling.testing.cluster import TestCluster
from tests.e2e.waiting import Load

pytestmark = [pytest.mark.e2e, pytest.mark.podling(fresh=True, replicas=3, nodes=3)]


def test_not_one_request_fails_while_the_frontends_are_replaced(
    podling_cluster: TestCluster, guestbook: str
) -> None:
    load = Load(guestbook)
    with load.running():
        load.reaches(50)
        image = "frontend=guestbook-frontend:2"
        podling_cluster.kubectl("set", "image", "deployment/frontend", image)
        podling_cluster.kubectl("rollout", "status", "deployment/frontend", "--timeout=80s")
        load.reaches(100)
    assert load.failures == []
