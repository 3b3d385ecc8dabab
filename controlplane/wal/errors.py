"""What can be wrong with a data directory. The texts are for whoever runs the process."""


class DataDirectoryError(Exception):
    """The directory cannot be used: in use, another member's, damaged, or of a newer format."""


class Damaged(DataDirectoryError):
    """Bytes on disk are not what was written there."""

    def __init__(self, path: object, offset: int, reason: str, remedy: str) -> None:
        super().__init__(f"{path} is damaged at byte {offset}: {reason}. {remedy}")
        self.offset = offset
        self.reason = reason


LOG_REMEDY = (
    "Nothing was changed. Restore the directory from a copy of this member's own; never start the "
    "member with an empty one, which would forget what it has acknowledged"
)
SNAPSHOT_REMEDY = (
    "Remove the file, if an older snapshot and the log after it are still there; otherwise restore "
    "it from a copy"
)
