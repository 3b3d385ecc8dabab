import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podling.kube import strict_json
from podling.kube.strict_json import JsonError
from tests.kube.json_values import VALUES


def test_keys_that_occur_twice_are_named_by_their_path() -> None:
    body = b'{"a": 1, "a": 2, "spec": {"containers": [{"b": {}, "b": {"c": 1}}]}, "a": 3}'
    value, duplicates = strict_json.loads(body)
    assert value == {"a": 3, "spec": {"containers": [{"b": {"c": 1}}]}}
    assert duplicates == ["a", "spec.containers[0].b"]


def test_nobody_looks_for_them_unasked() -> None:
    assert strict_json.loads(b'{"a":1,"a":2}', find_duplicates=False) == ({"a": 2}, [])


@pytest.mark.parametrize("body", [b"", b"{", b"{'a':1}", b"{}x", b"\xff", b'{"a":NaN}', b"[1,]"])
def test_what_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(JsonError, match="error decoding JSON"):
        strict_json.loads(body)


@pytest.mark.parametrize("depth", [201, 1000, 100_000])
def test_nesting_has_its_limit(depth: int) -> None:
    for body in (b"[" * depth + b"]" * depth, b'{"a":' * depth + b"1" + b"}" * depth):
        with pytest.raises(JsonError):
            strict_json.loads(body)


def test_many_brackets_side_by_side_are_not_deep() -> None:
    body = json.dumps({"a": [{}] * 1000}).encode()
    assert strict_json.loads(body)[0] == {"a": [{}] * 1000}


def test_a_number_of_any_length_does_no_harm() -> None:
    value, _ = strict_json.loads(b'{"a":' + b"1" * 300 + b',"b": 1}')
    assert value["a"] == pytest.approx(1.1111e299, rel=1e-3)
    with pytest.raises(JsonError):
        strict_json.loads(b'{"a":' + b"1" * 5000 + b"}")


def test_the_refusal_is_worded_as_upstream_does() -> None:
    assert strict_json.strict_error(["spec.foo"], ["spec.bar"]) == (
        'strict decoding error: unknown field "spec.foo", duplicate field "spec.bar"'
    )


@given(VALUES, st.booleans())
def test_what_json_writes_is_read_back_without_duplicates(value: Any, spaced: bool) -> None:
    body = json.dumps(value, indent=2 if spaced else None).encode()
    assert strict_json.loads(body) == (value, [])


@given(st.binary() | st.text(alphabet='{}[]",:ab01 \\u').map(str.encode))
def test_any_bytes_are_json_or_a_json_error(body: bytes) -> None:
    with contextlib.suppress(JsonError):
        strict_json.loads(body)
