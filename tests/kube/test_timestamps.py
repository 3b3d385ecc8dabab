import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podling.kube import timestamps

SECONDS = st.integers(min_value=-62135596800, max_value=253402300799)


def test_time_has_whole_seconds() -> None:
    assert timestamps.format_time(1136214245.999) == "2006-01-02T15:04:05Z"


def test_micro_time_has_six_digits() -> None:
    assert timestamps.format_micro_time(1136214245.5) == "2006-01-02T15:04:05.500000Z"


@pytest.mark.parametrize(
    "text",
    [
        "2006-01-02T15:04:05.5Z",
        "2006-01-02T15:04:05.500000000Z",
        "2006-01-02T17:04:05.5+02:00",
        "2006-01-02T10:04:05.500-05:00",
    ],
)
def test_any_offset_and_any_number_of_digits_can_be_read(text: str) -> None:
    assert timestamps.parse_time(text) == 1136214245.5


@pytest.mark.parametrize(
    "text",
    ["", "now", "2006-01-02", "2006-01-02T15:04:05", "2006-13-02T15:04:05Z", "20060102T150405Z",
     "2006-01-02T15:04:05Z ", "２006-01-02T15:04:05Z", "2006-01-02T15:04:05.Z"],
)  # fmt: skip
def test_what_rfc_3339_does_not_allow_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        timestamps.parse_time(text)


@given(SECONDS)
def test_seconds_survive_the_round_trip(seconds: int) -> None:
    assert timestamps.parse_time(timestamps.format_time(seconds)) == seconds


@given(st.integers(min_value=0, max_value=4 * 10**15))
def test_microseconds_survive_the_round_trip(micros: int) -> None:
    text = timestamps.format_micro_time(micros / 10**6)
    assert timestamps.format_micro_time(timestamps.parse_time(text)) == text
    assert round(timestamps.parse_time(text) * 10**6) == micros


@given(st.text())
def test_any_text_is_a_time_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        timestamps.parse_time(text)
