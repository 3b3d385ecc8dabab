"""The cache of one kind, and the bytes in it."""

import orjson
import pytest

from podling.controlplane.apiserver.storage import encoded
from podling.controlplane.apiserver.storage.interface import Event, KeyValue
from podling.controlplane.apiserver.watch_cache.kind_cache import KindCache, TooOld, prefix_end
from podling.controlplane.apiserver.watch_cache.selection import select
from podling.kube.kinds import CONFIG_MAP, POD
from podling.kube.meta import Object

BIG = 1 << 30


def kv(name: str, revision: int, **metadata: object) -> KeyValue:
    obj = {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "default", **metadata},
    }
    key = CONFIG_MAP.storage_key("default", name)
    return KeyValue(key, orjson.dumps(obj), revision, revision, 1, 0)


def put(name: str, revision: int, **metadata: object) -> Event:
    return Event(kv(name, revision, **metadata), None, False)


def delete(name: str, revision: int) -> Event:
    return Event(kv(name, revision)._replace(value=b""), kv(name, 1), True)


def names(cache: KindCache, start: bytes = b"") -> list[str]:
    snapshot = cache.snapshot(CONFIG_MAP.storage_range("default"), start)
    return [entry.fields["metadata.name"] for entry in snapshot]


def test_the_window_of_the_docstring() -> None:
    cache = KindCache(CONFIG_MAP, 2, BIG)
    cache.load([encoded.encode(CONFIG_MAP, kv("a", 9))], 10)
    for revision in (11, 12, 15):
        cache.apply(put("a", revision))
    assert cache.forgotten == 11
    assert [change.revision for change in cache.since(11)] == [12, 15]
    assert [change.revision for change in cache.since(13)] == [15]
    assert cache.since(15) == []
    with pytest.raises(TooOld, match=r"too old resource version: 10 \(11\)"):
        cache.since(10)


def test_the_window_is_bounded_in_bytes() -> None:
    cache = KindCache(CONFIG_MAP, 1000, 2000)
    cache.load([], 1)
    for revision in range(2, 12):
        cache.apply(put("a", revision, annotations={"x": "y" * 500}))
    assert 2 <= len(cache.since(cache.forgotten)) <= 4


def test_a_snapshot_does_not_change() -> None:
    cache = KindCache(CONFIG_MAP, 100, BIG)
    cache.load([encoded.encode(CONFIG_MAP, kv(name, 5)) for name in ("b", "a", "c")], 5)
    assert names(cache) == ["a", "b", "c"]
    snapshot = cache.snapshot(CONFIG_MAP.storage_range())
    cache.apply(delete("a", 6))
    cache.apply(put("d", 7))
    cache.apply(put("b", 8, labels={"new": "yes"}))
    assert [entry.revision for entry in snapshot] == [5, 5, 5]
    assert names(cache) == ["b", "c", "d"]
    assert names(cache, CONFIG_MAP.storage_key("default", "c")) == ["c", "d"]
    assert cache.changed == 8


def test_what_cannot_be_read_changes_nothing() -> None:
    cache = KindCache(CONFIG_MAP, 100, BIG)
    cache.load([encoded.encode(CONFIG_MAP, kv("a", 5))], 5)
    for value in (b"", b"{", b"[]", b'{"metadata":1}', b"k8s\0\xff\xff"):
        broken = Event(kv("a", 6)._replace(value=value), None, False)
        with pytest.raises(encoded.Undecodable, match="/registry/configmaps/default/a"):
            cache.apply(broken)
    assert names(cache) == ["a"]


def test_the_revision_is_put_into_the_bytes() -> None:
    entry = encoded.encode(CONFIG_MAP, kv("a", 7, labels={"x": "y"}))
    assert entry.decode()["metadata"] == {
        "resourceVersion": "7", "name": "a", "namespace": "default", "labels": {"x": "y"}
    }  # fmt: skip
    assert entry.labels == {"x": "y"}
    later = orjson.loads(entry.at(1234))
    assert later["metadata"].pop("resourceVersion") == "1234"
    expected = entry.decode()
    del expected["metadata"]["resourceVersion"]
    assert later == expected


@pytest.mark.parametrize(
    "value",
    [
        b'{"metadata":{},"kind":"ConfigMap","apiVersion":"v1"}',
        b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{}}',
        b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"resourceVersion":"1"}}',
        b'{"metadata":{"annotations":{"x":"\\"metadata\\":{\\"resourceVersion\\":\\"9\\""}}}',
    ],
)
def test_any_layout_in_the_store_is_served(value: bytes) -> None:
    entry = encoded.encode(CONFIG_MAP, kv("a", 42)._replace(value=value))
    served = entry.decode()
    assert served["metadata"]["resourceVersion"] == "42"
    assert (served["kind"], served["apiVersion"]) == ("ConfigMap", "v1")
    assert orjson.loads(entry.at(43))["metadata"]["resourceVersion"] == "43"


def test_what_is_stored_has_no_revision_and_a_known_layout() -> None:
    obj: Object = {
        "data": {"k": "v"},
        "metadata": {"resourceVersion": "5", "selfLink": "/x", "name": "a"},
        "apiVersion": "v1",
        "kind": "ConfigMap",
    }
    stored = encoded.dump(obj)
    assert stored == (
        b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"},"data":{"k":"v"}}'
    )


def test_prefixes_end_where_the_next_begins() -> None:
    assert prefix_end(b"/registry/pods/") == b"/registry/pods0"


@pytest.mark.parametrize(
    ("before", "after", "seen"),
    [
        (None, "yes", "ADDED"),
        (None, "no", None),
        ("yes", "yes", "MODIFIED"),
        ("no", "yes", "ADDED"),
        ("yes", "no", "DELETED"),
        ("no", "no", None),
        ("yes", None, "DELETED"),
        ("no", None, None),
    ],
)
def test_how_a_change_looks_from_inside_a_selection(
    before: str | None, after: str | None, seen: str | None
) -> None:
    selection = select(CONFIG_MAP, "default", "on=yes")
    states = [
        None if label is None else encoded.encode(CONFIG_MAP, kv("a", 5, labels={"on": label}))
        for label in (before, after)
    ]
    assert selection.change(*states) == seen


def test_a_namespace_is_no_prefix_of_another() -> None:
    shop, shopping = select(POD, "shop"), select(POD, "shopping")
    key = POD.storage_key("shopping", "a")
    assert key.startswith(shopping.prefix)
    assert not key.startswith(shop.prefix)
