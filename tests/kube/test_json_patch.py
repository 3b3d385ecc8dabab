import contextlib
import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podling.kube import json_patch
from podling.kube.json_patch import JsonPatchError, JsonPatchTestFailed
from tests.kube.json_values import OBJECTS, VALUES

RFC_6902_APPENDIX_A = [
    ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}], {"baz": "qux", "foo": "bar"}),
    (
        {"foo": ["bar", "baz"]},
        [{"op": "add", "path": "/foo/1", "value": "qux"}],
        {"foo": ["bar", "qux", "baz"]},
    ),
    ({"baz": "qux", "foo": "bar"}, [{"op": "remove", "path": "/baz"}], {"foo": "bar"}),
    ({"foo": ["a", "b", "c"]}, [{"op": "remove", "path": "/foo/1"}], {"foo": ["a", "c"]}),
    (
        {"baz": "qux", "foo": "bar"},
        [{"op": "replace", "path": "/baz", "value": "boo"}],
        {"baz": "boo", "foo": "bar"},
    ),
    (
        {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
        [{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}],
        {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}},
    ),
    (
        {"foo": ["all", "grass", "cows", "eat"]},
        [{"op": "move", "from": "/foo/1", "path": "/foo/3"}],
        {"foo": ["all", "cows", "eat", "grass"]},
    ),
    (
        {"baz": "qux", "foo": ["a", 2, "c"]},
        [
            {"op": "test", "path": "/baz", "value": "qux"},
            {"op": "test", "path": "/foo/1", "value": 2},
        ],
        {"baz": "qux", "foo": ["a", 2, "c"]},
    ),
    ({"baz": "qux"}, [{"op": "test", "path": "/baz", "value": "bar"}], None),
    (
        {"foo": "bar"},
        [{"op": "add", "path": "/child", "value": {"grandchild": {}}}],
        {"foo": "bar", "child": {"grandchild": {}}},
    ),
    (
        {"foo": "bar"},
        [{"op": "add", "path": "/baz", "value": "qux", "xyz": 123}],
        {"foo": "bar", "baz": "qux"},
    ),
    ({"foo": "bar"}, [{"op": "add", "path": "/baz/bat", "value": "qux"}], None),
    ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"/": 9, "~1": 10}),
    ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": "10"}], None),
    (
        {"foo": ["bar"]},
        [{"op": "add", "path": "/foo/-", "value": ["abc", "def"]}],
        {"foo": ["bar", ["abc", "def"]]},
    ),
]


@pytest.mark.parametrize(("doc", "patch", "expected"), RFC_6902_APPENDIX_A)
def test_the_examples_of_the_rfc(
    doc: dict[str, Any], patch: list[Any], expected: dict[str, Any] | None
) -> None:
    if expected is None:
        with pytest.raises(JsonPatchError):
            json_patch.apply(doc, patch)
    else:
        assert json_patch.apply(doc, patch) == expected


@pytest.mark.parametrize(
    ("patch", "text"),
    [
        ({}, "must be a list"),
        ([1], "operation 0: must be an object"),
        ([{"op": "add", "path": "/a"}], "'value' is missing"),
        ([{"op": "add", "value": 1}], "'path' is missing"),
        ([{"op": "add", "path": "a", "value": 1}], "begin with a slash"),
        ([{"op": "fly", "path": "/a"}], "unknown op 'fly'"),
        ([{"path": "/a"}], "unknown op None"),
        ([{"op": "remove", "path": "/none"}], 'nothing at "/none"'),
        ([{"op": "replace", "path": "/none", "value": 1}], 'nothing at "/none"'),
        ([{"op": "remove", "path": ""}], "cannot be removed"),
        ([{"op": "add", "path": "/list/9", "value": 1}], "beyond the end"),
        ([{"op": "add", "path": "/list/01", "value": 1}], "not a list index"),
        ([{"op": "add", "path": "/list/-1", "value": 1}], "not a list index"),
        ([{"op": "remove", "path": "/list/-"}], "nothing at"),
        ([{"op": "add", "path": "/list/0/x", "value": 1}], "neither an object nor a list"),
        ([{"op": "move", "from": "/a", "path": "/a/b"}], "into itself"),
        ([{"op": "add", "path": "", "value": []}], "must leave a JSON object"),
        ([{"op": "add", "path": "/" * 200, "value": 1}], "more than 128 steps"),
        ([{"op": "test", "path": "/a/b", "value": True}], "testing"),
        ([{"op": "add", "path": "/x", "value": 1}] * 10_001, "maximum operations"),
    ],
)
def test_a_refusal_says_what_is_wrong(patch: Any, text: str) -> None:
    with pytest.raises(JsonPatchError, match=text):
        json_patch.apply({"a": {"b": 1}, "list": [1, 2]}, patch)


def test_a_failed_test_can_be_told_from_a_bad_patch() -> None:
    with pytest.raises(JsonPatchTestFailed):
        json_patch.apply({"a": 1}, [{"op": "test", "path": "/a", "value": 2}])


def test_one_and_one_point_zero_are_equal_but_true_is_neither() -> None:
    assert json_patch.apply({"a": 1}, [{"op": "test", "path": "/a", "value": 1.0}])
    with pytest.raises(JsonPatchTestFailed):
        json_patch.apply({"a": {"b": [1]}}, [{"op": "test", "path": "/a", "value": {"b": [True]}}])


def test_copies_cannot_fill_the_memory() -> None:
    bomb = [
        {"op": "copy", "from": "/a", "path": "/a/x"},
        {"op": "copy", "from": "/a", "path": "/a/y"},
    ]
    with pytest.raises(JsonPatchError, match="copies more than"):
        json_patch.apply({"a": {"v": "x" * 100}}, bomb * 50)


def test_a_label_with_a_slash_is_escaped() -> None:
    doc = {"metadata": {"labels": {"app.io/name": "x"}}}
    patch = [{"op": "replace", "path": "/metadata/labels/app.io~1name", "value": "y"}]
    assert json_patch.apply(doc, patch) == {"metadata": {"labels": {"app.io/name": "y"}}}


PATHS = st.lists(
    st.sampled_from(["a", "b", "a~1b", "m~0n", "", "0", "1", "-", "metadata"]), max_size=3
).map(lambda steps: "".join(f"/{step}" for step in steps))
OPERATIONS = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]), "path": PATHS},
    optional={"from": PATHS, "value": VALUES},
)


@given(OBJECTS, st.lists(OPERATIONS, max_size=4) | VALUES)
def test_any_patch_gives_an_object_or_an_error_and_leaves_its_input(
    doc: dict[str, Any], patch: Any
) -> None:
    before = copy.deepcopy((doc, patch))
    with contextlib.suppress(JsonPatchError):
        assert isinstance(json_patch.apply(doc, patch), dict)
    assert (doc, patch) == before


@given(OBJECTS, VALUES)
def test_what_was_added_can_be_tested_and_removed(doc: dict[str, Any], value: Any) -> None:
    added = json_patch.apply(doc, [{"op": "add", "path": "/new", "value": value}])
    json_patch.apply(added, [{"op": "test", "path": "/new", "value": value}])
    assert json_patch.apply(added, [{"op": "remove", "path": "/new"}]) == doc
