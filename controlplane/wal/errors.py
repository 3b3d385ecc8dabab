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
    "Nothing was changed. If a majority of the other members is healthy, remove this member's data "
    "directory and start it again as a new member; otherwise restore the directory from a copy"
)
SNAPSHOT_REMEDY = (
    "Remove the file, if an older snapshot and the log after it are still there; otherwise restore "
    "it from a copy"
)
