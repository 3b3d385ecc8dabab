import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podling.controlplane.raft import configuration_entry
from podling.controlplane.raft.configuration_entry import UnknownConfiguration
from podling.controlplane.raft.quorum import Configuration

MEMBERS = st.frozensets(st.integers(0, 2**64 - 1), max_size=4)
CONFIGURATIONS = st.builds(Configuration, MEMBERS, MEMBERS, MEMBERS, st.binary(max_size=40))


@given(CONFIGURATIONS)
def test_configurations_come_back(configuration: Configuration) -> None:
    assert configuration_entry.decode(configuration_entry.encode(configuration)) == configuration


@given(CONFIGURATIONS, st.integers(1, 20))
def test_a_part_of_one_is_refused(configuration: Configuration, missing: int) -> None:
    data = configuration_entry.encode(configuration)

    with pytest.raises(UnknownConfiguration, match="not a configuration"):
        configuration_entry.decode(data[: max(len(data) - missing, 0)])


@given(st.binary(max_size=60))
def test_other_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(UnknownConfiguration):
        configuration_entry.decode(data)


def test_a_newer_format_is_named() -> None:
    data = b"\x09" + configuration_entry.encode(Configuration(frozenset({1})))[1:]

    with pytest.raises(UnknownConfiguration, match="format 9, this program knows 1"):
        configuration_entry.decode(data)
