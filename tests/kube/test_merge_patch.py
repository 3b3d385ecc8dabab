import contextlib
import copy
from typing import Any

import pytest
from hypothesis import given

from podling.kube import merge_patch
from podling.kube.merge_patch import MergePatchError
from tests.kube.json_values import OBJECTS, VALUES

RFC_7386_APPENDIX_A = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("doc", "patch", "expected"), RFC_7386_APPENDIX_A)
def test_the_examples_of_the_rfc(
    doc: dict[str, Any], patch: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert merge_patch.apply(doc, patch) == expected


@pytest.mark.parametrize("patch", [None, [], "a", 1, True])
def test_only_an_object_can_be_merged(patch: Any) -> None:
    with pytest.raises(MergePatchError):
        merge_patch.apply({}, patch)


def test_nesting_has_its_limit() -> None:
    patch: dict[str, Any] = {}
    for _ in range(5000):
        patch = {"a": patch}
    with pytest.raises(MergePatchError, match="nested too deeply"):
        merge_patch.apply({}, patch)


@given(OBJECTS, OBJECTS)
def test_merging_twice_is_merging_once_and_leaves_its_input(
    doc: dict[str, Any], patch: dict[str, Any]
) -> None:
    before = copy.deepcopy((doc, patch))
    once = merge_patch.apply(doc, patch)
    assert merge_patch.apply(once, patch) == once
    assert (doc, patch) == before


@given(OBJECTS, VALUES)
def test_any_patch_gives_an_object_or_an_error(doc: dict[str, Any], patch: Any) -> None:
    with contextlib.suppress(MergePatchError):
        assert isinstance(merge_patch.apply(doc, patch), dict)
