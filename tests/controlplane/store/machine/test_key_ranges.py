"""Unions of ranges of keys, held against a set of all keys up to a length."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podling.controlplane.store.machine.key_ranges import KeyRanges, is_valid_range
from podling.controlplane.store.machine.mvcc import in_range

LETTERS = b"\0ab"
KEYS = [bytes(letters) for size in (1, 2, 3) for letters in itertools.product(LETTERS, repeat=size)]
SHORT = [key for key in KEYS if len(key) < 3]
RANGES = st.tuples(st.sampled_from(SHORT), st.sampled_from([b"", b"\0", *SHORT]))


def members(start: bytes, range_end: bytes) -> set[bytes]:
    return {key for key in KEYS if in_range(key, start, range_end)}


@settings(max_examples=200, deadline=None)
@given(st.lists(RANGES, max_size=4), RANGES)
def test_it_covers_what_is_in_the_union(granted: list[tuple[bytes, bytes]], asked: object) -> None:
    key, range_end = asked  # type: ignore[misc]
    ranges = KeyRanges(each for each in granted if is_valid_range(*each))
    union = set().union(*(members(*each) for each in granted if is_valid_range(*each)))
    if not range_end:
        assert ranges.covers(key) == (key in union)
    elif ranges.covers(key, range_end):
        assert members(key, range_end) <= union
    elif is_valid_range(key, range_end) and members(key, range_end) <= union:
        # Longer keys than those listed here, or no end at all, make the difference.
        assert range_end == b"\0" or not ranges.covers(max(members(key, range_end)) + b"a")


@pytest.mark.parametrize(
    ("key", "range_end", "valid"),
    [
        (b"a", b"", True),
        (b"a", b"b", True),
        (b"a", b"\0", True),
        (b"\0", b"\0", True),
        (b"", b"", False),
        (b"", b"\0", False),
        (b"b", b"a", False),
        (b"a", b"a", False),
    ],
)
def test_a_range_that_names_no_key_is_not_valid(key: bytes, range_end: bytes, valid: bool) -> None:
    assert is_valid_range(key, range_end) == valid


def test_ranges_that_touch_are_one_and_a_gap_is_a_gap() -> None:
    ranges = KeyRanges([(b"c", b"e"), (b"a", b"c"), (b"f", b"g"), (b"p", b""), (b"x", b"\0")])
    covered = [(b"a", b"e"), (b"b", b"d"), (b"f", b""), (b"p", b""), (b"x", b"\0"), (b"y", b"z")]
    open_ = [(b"a", b"f"), (b"e", b""), (b"d", b"g"), (b"p", b"q"), (b"p", b"\0"), (b"w", b"y")]
    assert all(ranges.covers(*each) for each in covered)
    assert not any(ranges.covers(*each) for each in open_)
