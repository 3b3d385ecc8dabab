"""The pytest plugin: a real cluster as a fixture.

    def test_it(podling_namespace):
        podling_namespace.kubectl("apply", "-f", "deployment.yaml")

    async def test_that(podling_namespace):
        async with podling_namespace.client() as client:
            await client.create(kinds.CONFIG_MAP, {...}, podling_namespace.name)

`podling_cluster` is one cluster for the whole run, or of each worker of pytest-xdist;
`podling_namespace` is a new namespace in it. A test that breaks its cluster asks for its own:

    @pytest.mark.podling(fresh=True, replicas=3, nodes=2)

A cluster ends with its pytest process, in whatever way that ends.

This module is imported by every pytest run on a machine that has Podling installed, so it imports
nothing but pytest until a fixture is used.
"""

import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from podling.testing.cluster import ClusterNamespace, TestCluster
    from podling.testing.clusters import Clusters


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "podling(fresh=False, replicas=1, nodes=1): the cluster that this test wants; "
        "fresh=True makes one for this test alone",
    )


@pytest.fixture(scope="session")
def podling_clusters() -> "Iterator[Clusters]":
    """All clusters of this pytest process; use `podling_cluster` instead."""
    clusters = importlib.import_module("podling.testing.clusters").Clusters()
    yield clusters
    clusters.close()


@pytest.fixture
def podling_cluster(
    request: pytest.FixtureRequest, podling_clusters: "Clusters"
) -> "Iterator[TestCluster]":
    """A running cluster: shared by the run, or the test's own where its mark says so."""
    mark = request.node.get_closest_marker("podling")
    wanted = dict(mark.kwargs) if mark else {}
    if not wanted.pop("fresh", False):
        yield podling_clusters.shared(**wanted)
        return
    with podling_clusters.fresh(**wanted) as cluster:
        yield cluster


@pytest.fixture
def podling_namespace(podling_cluster: "TestCluster") -> "Iterator[ClusterNamespace]":
    """A namespace of the test's own, deleted afterwards."""
    with podling_cluster.namespace() as namespace:
        yield namespace
