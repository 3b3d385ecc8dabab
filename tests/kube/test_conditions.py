from podling.kube import conditions
from podling.kube.meta import Object

EARLY, LATE = 1_000_000_000.0, 1_000_000_060.0


def test_a_new_condition_comes_last() -> None:
    before = [{"type": "Ready", "status": "False"}]
    after = conditions.set_condition(before, "Fine", "True", "Because", "it is", EARLY)
    assert after == [
        {"type": "Ready", "status": "False"},
        {
            "type": "Fine",
            "status": "True",
            "reason": "Because",
            "message": "it is",
            "lastTransitionTime": "2001-09-09T01:46:40Z",
        },
    ]
    assert before == [{"type": "Ready", "status": "False"}]


def test_the_transition_time_stays_while_the_status_does() -> None:
    once = conditions.set_condition(None, "Ready", "True", "A", "a", EARLY)
    again = conditions.set_condition(once, "Ready", "True", "B", "", LATE)
    assert again[0]["lastTransitionTime"] == once[0]["lastTransitionTime"]
    assert again[0]["reason"] == "B"
    assert "message" not in again[0]


def test_the_transition_time_moves_with_the_status() -> None:
    once = conditions.set_condition([], "Ready", "True", now=EARLY)
    again = conditions.set_condition(once, "Ready", "False", now=LATE)
    assert again[0]["lastTransitionTime"] == "2001-09-09T01:47:40Z"


def test_saying_the_same_again_changes_nothing() -> None:
    once = conditions.set_condition([{"type": "X"}], "Ready", "True", "A", "a", EARLY)
    assert conditions.set_condition(once, "Ready", "True", "A", "a", LATE) == once


def test_a_condition_keeps_its_place_and_its_other_fields() -> None:
    before: list[Object] = [{"type": "A", "status": "True", "observedGeneration": 3}, {"type": "B"}]
    after = conditions.set_condition(before, "A", "False", now=LATE, extra={"lastUpdateTime": "t"})
    assert [one["type"] for one in after] == ["A", "B"]
    assert (after[0]["observedGeneration"], after[0]["lastUpdateTime"]) == (3, "t")


def test_only_true_is_true() -> None:
    assert conditions.is_true([{"type": "Ready", "status": "True"}], "Ready")
    assert not conditions.is_true([{"type": "Ready", "status": "Unknown"}], "Ready")
    assert not conditions.is_true(None, "Ready")
    assert conditions.find([{"type": "A"}], "B") is None


def test_what_an_object_does_not_say_is_unknown() -> None:
    node = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
    assert conditions.status_of(node, "Ready") == "False"
    assert conditions.status_of(node, "DiskPressure") == "Unknown"
    assert conditions.status_of({}, "Ready") == "Unknown"
