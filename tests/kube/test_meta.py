import pytest

from podling.kube import meta

OWNED = {
    "metadata": {
        "name": "a",
        "namespace": "web",
        "uid": "1",
        "ownerReferences": [
            {"kind": "Other", "uid": "8"},
            {"kind": "ReplicaSet", "uid": "9", "controller": True},
        ],
    }
}


def test_everything_may_be_absent() -> None:
    empty: list[meta.Object] = [{}, {"metadata": None}, {"metadata": {"labels": None}}]
    for obj in empty:
        assert meta.name(obj) == meta.namespace(obj) == meta.resource_version(obj) == ""
        assert meta.labels(obj) == meta.annotations(obj) == {}
        assert meta.finalizers(obj) == []
        assert meta.owner_references(obj) == []
        assert meta.controller_of(obj) is None
        assert not meta.is_deleting(obj)
        assert meta.generation(obj) == 0


def test_a_key_splits_into_what_it_was_made_of() -> None:
    assert meta.key(OWNED) == "web/a" == meta.join_key("web", "a")
    assert meta.split_key("web/a") == ("web", "a")
    assert meta.key({"metadata": {"name": "n"}}) == "n"
    assert meta.split_key("n") == ("", "n")


def test_the_controller_is_told_by_uid() -> None:
    assert meta.is_controlled_by(OWNED, {"metadata": {"uid": "9", "name": "whatever"}})
    assert not meta.is_controlled_by(OWNED, {"metadata": {"uid": "8"}})
    assert not meta.is_controlled_by({"metadata": {}}, {"metadata": {}})


def test_a_controller_reference_names_its_owner() -> None:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "r", "uid": "9"}}
    reference = meta.controller_reference(owner)
    assert meta.is_controlled_by({"metadata": {"ownerReferences": [reference]}}, owner)
    assert reference["blockOwnerDeletion"] is True


def test_an_object_is_being_deleted_once_it_has_a_time_for_it() -> None:
    assert meta.is_deleting({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})


@pytest.mark.parametrize(
    ("one", "other", "later"), [("9", "10", "10"), ("10", "9", "10"), ("", "1", "1")]
)
def test_the_newer_of_two_states_is_told_by_its_revision(one: str, other: str, later: str) -> None:
    states = [{"metadata": {"resourceVersion": version}} for version in (one, other)]
    assert meta.resource_version(meta.newer(*states)) == later


def test_of_two_equal_states_the_second_counts() -> None:
    one, other = ({"metadata": {"resourceVersion": "7"}, "from": who} for who in ("a", "b"))
    assert meta.newer(one, other) is other
