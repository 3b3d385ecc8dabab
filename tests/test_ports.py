"""The ports that tests take, on machines that are set up in different ways."""

import pytest

from tests.ports import BLOCK, free_ports, starts


@pytest.mark.parametrize(
    ("low", "high"), [(32_768, 60_999), (49_152, 65_535), (20_250, 65_535), (1_024, 60_000)]
)
def test_they_are_none_that_the_kernel_gives_to_others(low: int, high: int) -> None:
    blocks = starts(low, high)
    assert blocks
    for start in blocks:
        assert not {*range(start, start + BLOCK)} & {*range(low, high + 1)}


def test_where_the_kernel_gives_all_there_are_some_nevertheless() -> None:
    assert len(starts(1_024, 65_535)) > 100


def test_each_is_another_one_and_of_more_than_there_are_it_is_said() -> None:
    assert len({*free_ports(10)}) == 10
    with pytest.raises(AssertionError, match="are free"):
        free_ports(BLOCK + 1)
