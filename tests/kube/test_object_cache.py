from collections.abc import Iterable

import orjson
import pytest

from podling.kube.meta import Object
from podling.kube.object_cache import ObjectCache


def pod(name: str, revision: int, node: str = "", **labels: str) -> Object:
    return {
        "metadata": {
            "name": name,
            "namespace": "default",
            "resourceVersion": str(revision),
            "labels": labels,
        },
        "spec": {"nodeName": node},
    }


def put(cache: ObjectCache, obj: Object) -> str:
    return cache.put(obj, orjson.dumps(obj))


def by_node(obj: Object) -> Iterable[str]:
    return [obj["spec"]["nodeName"]] if obj["spec"]["nodeName"] else []


def test_an_object_is_decoded_anew_for_each_reader() -> None:
    cache = ObjectCache()
    assert put(cache, pod("a", 1, app="web")) == "default/a"
    first = cache.get("default/a")
    assert first is not None
    first["spec"]["nodeName"] = "changed"
    assert cache.get("default/a") == pod("a", 1, app="web")
    assert cache.labels("default/a") == {"app": "web"}
    assert cache.get("default/b") is None


def test_an_index_follows_its_objects() -> None:
    cache = ObjectCache()
    put(cache, pod("a", 1, "n1"))
    cache.add_index("node", by_node)
    put(cache, pod("b", 2, "n1"))
    assert cache.by_index("node", "n1") == ["default/a", "default/b"]
    put(cache, pod("a", 3, "n2"))
    cache.remove(pod("b", 4, "n1"))
    assert cache.by_index("node", "n1") == []
    assert cache.by_index("node", "n2") == ["default/a"]


def test_an_index_is_added_once_under_its_name() -> None:
    cache = ObjectCache()
    cache.add_index("node", by_node)
    cache.add_index("node", by_node)
    with pytest.raises(ValueError, match="another index called 'node'"):
        cache.add_index("node", lambda obj: [])
    with pytest.raises(KeyError):
        cache.by_index("other", "x")


def test_an_object_that_an_index_chokes_on_is_kept_without_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cache = ObjectCache()
    cache.add_index("node", by_node)
    put(cache, {"metadata": {"name": "a", "namespace": "default"}})
    assert cache.keys() == ["default/a"]
    assert "index node failed on default/a" in caplog.text


def test_replacing_all_tells_what_came_went_and_changed() -> None:
    cache = ObjectCache()
    cache.add_index("node", by_node)
    for obj in (pod("same", 1, "n1"), pod("changed", 2, "n1"), pod("gone", 3, "n1")):
        put(cache, obj)
    objects = [pod("same", 1, "n1"), pod("changed", 5, "n2"), pod("new", 4, "n1")]
    entries = {f"default/{obj['metadata']['name']}": cache.entry(obj) for obj in objects}
    assert cache.replace(entries) == ["default/changed", "default/gone", "default/new"]
    assert cache.by_index("node", "n1") == ["default/new", "default/same"]
    assert cache.by_index("node", "n2") == ["default/changed"]
    assert len(cache) == 3


def test_an_index_added_between_reading_and_replacing_has_everything() -> None:
    cache = ObjectCache()
    entries = {"default/a": cache.entry(pod("a", 1, "n1"))}
    cache.add_index("node", by_node)
    cache.replace(entries)
    assert cache.by_index("node", "n1") == ["default/a"]
