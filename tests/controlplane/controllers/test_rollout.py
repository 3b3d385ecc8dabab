from typing import Any

import pytest

from podling.controlplane.controllers import rollout
from podling.controlplane.controllers.rollout import Limits, Scale
from podling.kube import meta
from podling.kube.meta import Object
from tests.controlplane.controllers.objects import deployment, replica_set


def bounded(replicas: int, surge: Any, unavailable: Any) -> Object:
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    return deployment(replicas, strategy={"type": "RollingUpdate", "rollingUpdate": rolling})


def sizes(scales: list[Scale]) -> dict[str, int]:
    return {meta.name(scale.replica_set): scale.replicas for scale in scales}


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [
        (4, "25%", "25%", Limits(4, 1, 1)),
        (3, "25%", "25%", Limits(3, 1, 0)),
        (1, "0%", "10%", Limits(1, 0, 1)),
        (10, 2, 3, Limits(10, 2, 3)),
        (2, 0, 5, Limits(2, 0, 2)),
        (0, "25%", "25%", Limits(0, 0, 0)),
    ],
)
def test_limits_round_in_favour_of_moving(
    replicas: int, surge: Any, unavailable: Any, expected: Limits
) -> None:
    assert rollout.limits(bounded(replicas, surge, unavailable)) == expected


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        # (spec, available) of the new and the old one, 4 replicas, 1 surge, 1 unavailable
        (None, (4, 4), 1),
        ((1, 0), (3, 3), 2),
        ((2, 2), (3, 3), 2),
        ((4, 4), (0, 0), 4),
        ((6, 6), (0, 0), 4),
        (None, (0, 0), 4),
    ],
)
def test_the_new_one_grows_into_the_room_there_is(
    new: tuple[int, int] | None, old: tuple[int, int], expected: int
) -> None:
    current = replica_set("new", *new) if new else None
    assert rollout.new_size(bounded(4, 1, 1), current, [replica_set("old", *old)]) == expected


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        ((1, 0), {"o": (4, 4)}, {"o": 3}),
        ((2, 0), {"o": (3, 3)}, {}),
        ((2, 1), {"o": (3, 3)}, {"o": 2}),
        ((2, 2), {"o": (3, 3)}, {"o": 1}),
        ((4, 4), {"o": (1, 1)}, {"o": 0}),
        # broken old pods go first, as long as the rest suffices
        ((1, 0), {"o": (4, 3)}, {"o": 3}),
        ((1, 0), {"a": (2, 2), "b": (2, 0)}, {"b": 1}),
        ((4, 4), {"a": (1, 1), "b": (1, 1)}, {"a": 0, "b": 0}),
        ((4, 4), {}, {}),
    ],
)
def test_old_ones_give_up_what_is_not_needed(
    new: tuple[int, int], old: dict[str, tuple[int, int]], expected: dict[str, int]
) -> None:
    others = [replica_set(name, *counts) for name, counts in old.items()]
    current = replica_set("new", *new)
    assert sizes(rollout.plan_scale_down(bounded(4, 1, 1), current, others)) == expected


def test_first_up_then_down() -> None:
    new, old = replica_set("new", 1, 0), [replica_set("old", 3)]
    assert sizes(rollout.plan_rolling(bounded(4, 1, 1), new, old)) == {"new": 2}
    new, old = replica_set("new", 2, 1), [replica_set("old", 3)]
    assert sizes(rollout.plan_rolling(bounded(4, 1, 1), new, old)) == {"old": 2}


def annotated(name: str, size: int, desired: int, maximum: int, created: float = 0.0) -> Object:
    obj = replica_set(name, size, created=created)
    obj["metadata"]["annotations"] = {
        "deployment.kubernetes.io/desired-replicas": str(desired),
        "deployment.kubernetes.io/max-replicas": str(maximum),
    }
    return obj


def test_a_change_of_size_is_noticed_by_the_annotations() -> None:
    assert rollout.is_resized(deployment(5), [annotated("r", 3, 3, 4)])
    assert not rollout.is_resized(deployment(3), [annotated("r", 3, 3, 4)])
    assert not rollout.is_resized(deployment(5), [annotated("r", 0, 3, 4)])


@pytest.mark.parametrize(
    ("replicas", "new", "old", "expected"),
    [
        (5, 3, {}, {"new": 5}),
        (5, 0, {"o": 3}, {"o": 5}),
        # 10 -> 20 in the middle of a rollout, 8 + 5 pods of at most 13: both double
        (20, 5, {"o": 8}, {"o": 14, "new": 9}),
        # and 10 -> 5
        (5, 5, {"o": 8}, {"o": 5, "new": 3}),
        (0, 5, {"o": 8}, {"o": 0, "new": 0}),
    ],
)
def test_a_change_of_size_is_shared_in_proportion(
    replicas: int, new: int, old: dict[str, int], expected: dict[str, int]
) -> None:
    current = annotated("new", new, 10, 13, created=1.0)
    others = [annotated(name, size, 10, 13) for name, size in old.items()]
    assert sizes(rollout.plan_resize(bounded(replicas, 3, 2), current, others)) == expected


def test_a_saturated_new_one_needs_no_old_ones() -> None:
    new = annotated("new", 4, 4, 5)
    assert sizes(rollout.plan_resize(bounded(4, 1, 1), new, [replica_set("o", 1)])) == {"o": 0}
