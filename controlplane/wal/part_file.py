"""A file that is written beside its place, and gets its name when it is known to be whole."""

from pathlib import Path

from podling.controlplane.wal.disk import Disk, File

PART_SUFFIX = ".part"


class PartFile:
    """One such file; its first write removes what an earlier attempt left. May raise OSError."""

    def __init__(self, disk: Disk, target: Path, *, origin: str = "") -> None:
        """With different `origin`s, several can be on the way to the same place."""
        self._disk = disk
        self._target = target
        self.path = target.with_name(target.name + origin + PART_SUFFIX)
        self._file: File | None = None
        self.size = 0
        """Bytes written so far."""

    def write(self, data: bytes) -> None:
        if self._file is None:
            self._remove()
            self._file = self._disk.open(self.path)
        self._file.write(self.size, data, sync=False)
        self.size += len(data)

    def sync(self) -> None:
        """Make all of it durable; nothing more is written then."""
        if self._file is not None:
            self._file.sync()
            self._close()

    def name(self) -> None:
        """Give it its name: from then on it counts."""
        self._disk.rename(self.path, self._target)

    def abandon(self) -> None:
        """Leave nothing of it, unless it is in its place."""
        self._close()
        self._remove()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _remove(self) -> None:
        if self._disk.exists(self.path):
            self._disk.remove(self.path)
