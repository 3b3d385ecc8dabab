from podling.kube import event_series
from podling.kube.event_series import SeriesMemory
from podling.kube.meta import Object

POD: Object = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "namespace": "shop", "uid": "u1", "resourceVersion": "5"},
}


def count(memory: SeriesMemory, message: str, now: float = 1.0, pod: Object = POD) -> int:
    what = event_series.happening(pod, "Warning", "BackOff", message, "")
    return memory.count(what, now).count


def test_the_same_thing_is_counted_and_another_is_not() -> None:
    memory = SeriesMemory(10)
    assert [count(memory, "a"), count(memory, "a"), count(memory, "b")] == [1, 2, 1]


def test_a_newer_revision_of_the_object_is_the_same_object() -> None:
    memory = SeriesMemory(10)
    count(memory, "a")
    newer = {**POD, "metadata": {**POD["metadata"], "resourceVersion": "6"}}
    assert count(memory, "a", pod=newer) == 2
    other = {**POD, "metadata": {**POD["metadata"], "uid": "u2"}}
    assert count(memory, "a", pod=other) == 1


def test_what_was_longest_unused_is_forgotten() -> None:
    memory = SeriesMemory(2)
    for message in ("a", "b", "a", "c"):
        count(memory, message)
    assert [count(memory, "a"), count(memory, "b")] == [3, 1]


def test_names_differ_even_if_the_clock_stands_still() -> None:
    memory = SeriesMemory(10)
    names = {
        memory.count(event_series.happening(POD, "Normal", "R", str(n), ""), 1.0).name
        for n in range(5)
    }
    assert len(names) == 5
    assert all(name.startswith("web.") for name in names)


def test_an_event_says_what_happened_to_whom_when_and_how_often() -> None:
    memory = SeriesMemory(10)
    what = event_series.happening(POD, "Warning", "BackOff", "again", "spec.containers{main}")
    memory.count(what, 1.0)
    event = event_series.event_object(memory.count(what, 3.0), "kubelet", "node-1")
    assert event["metadata"]["namespace"] == "shop"
    assert event["involvedObject"] == {
        "kind": "Pod",
        "namespace": "shop",
        "name": "web",
        "uid": "u1",
        "apiVersion": "v1",
        "resourceVersion": "5",
        "fieldPath": "spec.containers{main}",
    }
    assert event["source"] == {"component": "kubelet", "host": "node-1"}
    assert (event["count"], event["firstTimestamp"], event["lastTimestamp"]) == (
        2,
        "1970-01-01T00:00:01Z",
        "1970-01-01T00:00:03Z",
    )


def test_events_on_objects_without_namespace_are_in_the_default_one() -> None:
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}}
    what = event_series.happening(node, "Normal", "Ready", "ok", "")
    assert SeriesMemory(1).count(what, 0).namespace == "default"


def test_long_messages_are_cut() -> None:
    what = event_series.happening(POD, "Normal", "R", "x" * 5000, "")
    assert len(what.message) == 1024
    assert what.message.endswith("...")
