from podling.node.kubelet.cri.runtime_cache import RuntimeCache, Snapshot
from podling.node.kubelet.planning.runtime_status import Container
from tests.node.kubelet.builders import exited, running, sandbox


def snapshot(taken_at: int, *containers: Container, attempt: int = 0) -> Snapshot:
    return Snapshot("uid", "default", "web", sandbox(attempt), containers, taken_at)


def test_an_older_snapshot_never_replaces_a_newer_one() -> None:
    cache = RuntimeCache()
    assert cache.apply(snapshot(2, exited()))
    assert not cache.apply(snapshot(1, running()))
    pod = cache.pod("uid")
    assert pod is not None
    assert not pod.running


def test_what_says_nothing_new_is_not_news() -> None:
    cache = RuntimeCache()
    cache.apply(snapshot(1, running()))
    assert not cache.apply(snapshot(2, running()))
    assert cache.apply(snapshot(3, exited()))


def test_sandboxes_and_containers_come_newest_first() -> None:
    cache = RuntimeCache()
    cache.apply(snapshot(1, exited(attempt=0), running(attempt=1)))
    cache.apply(snapshot(2, attempt=1))
    pod = cache.pod("uid")
    assert pod is not None
    assert [each.attempt for each in pod.sandboxes] == [1, 0]
    assert [each.attempt for each in pod.containers] == [1, 0]


def test_late_news_of_a_removed_sandbox_is_ignored() -> None:
    cache = RuntimeCache()
    cache.apply(snapshot(1))
    assert cache.remove("sandbox-0") == "uid"
    assert cache.remove("sandbox-0") is None
    assert not cache.apply(snapshot(5))
    assert cache.uids() == []


def test_a_list_removes_what_it_lacks_but_not_what_is_newer() -> None:
    cache = RuntimeCache()
    cache.apply(snapshot(1))
    cache.apply(snapshot(20, attempt=1))
    assert cache.replace([], listed_at=10) == {"uid"}
    pod = cache.pod("uid")
    assert pod is not None
    assert [each.attempt for each in pod.sandboxes] == [1]
