"""The worked example in the docstring of `key_index`, line by line."""

import pytest

from podling.controlplane.store.key_values import KeyValue, tombstone
from podling.controlplane.store.machine.key_index import KeyIndex


def foo() -> KeyIndex:
    index = KeyIndex(KeyValue(b"foo", b"", 2, 2, 1, 0))
    index.append(KeyValue(b"foo", b"", 2, 4, 2, 0))
    index.append(tombstone(b"foo", 5))
    index.append(KeyValue(b"foo", b"", 7, 7, 1, 0))
    index.append(tombstone(b"foo", 9))
    return index


def lives(index: KeyIndex) -> list[list[int]]:
    return [[kv.mod_revision for kv in life] for life in index.generations()]


@pytest.mark.parametrize(
    ("revision", "left"),
    [
        (1, [[2, 4, 5], [7, 9]]),
        (2, [[2, 4, 5], [7, 9]]),
        (3, [[2, 4, 5], [7, 9]]),
        (4, [[4, 5], [7, 9]]),
        (5, [[7, 9]]),
        (8, [[7, 9]]),
    ],
)
def test_compaction_leaves_what_reads_can_see(revision: int, left: list[list[int]]) -> None:
    index = foo()
    index.compact(revision)
    assert lives(index) == left


def test_compacting_at_the_last_deletion_leaves_nothing() -> None:
    index = foo()
    assert not index.is_dead_at(8)
    assert index.is_dead_at(9)
    assert len(index.compact(9)) == 5


@pytest.mark.parametrize(
    ("revision", "seen"),
    [(1, None), (2, 2), (3, 2), (4, 4), (5, None), (6, None), (7, 7), (8, 7), (9, None)],
)
def test_a_read_sees_the_newest_record_up_to_its_revision(revision: int, seen: int | None) -> None:
    kv = foo().at(revision)
    assert (kv and kv.mod_revision) == seen
