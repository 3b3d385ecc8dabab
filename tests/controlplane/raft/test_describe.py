"""Log lines: what people see of entries, and what they must not."""

import pytest

from podling.controlplane.raft import describe
from podling.controlplane.raft.messages import Entry, EntryKind


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"put a", '2/7 "put a"'),
        (b"x" * 41, f'2/7 "{"x" * 40}... 41 bytes"'),
        (b"\x01\x00\x10\x00\x00\x00\x06admin$2b$10$Gcm9", "2/7 (23 bytes)"),
        ("schlüssel".encode(), "2/7 (10 bytes)"),
    ],
    ids=["text", "long text", "a program's", "not ASCII"],
)
def test_commands_are_shown_as_text_or_not_at_all(data: bytes, shown: str) -> None:
    """What programs propose may be a secret: users' password hashes, values of Secrets."""
    assert describe.entry(Entry(7, 2, EntryKind.COMMAND, data)) == shown
