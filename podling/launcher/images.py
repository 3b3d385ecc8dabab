"""`D/images.yaml`: what an image name stands for on this machine.

    nginx:1.27: [/usr/sbin/nginx, -g, "daemon off;"]
    shop/cart: [/srv/cart/.venv/bin/python, -m, cart]

There is no registry to pull from: an image is a name, with or without a tag, for a command and its
arguments. A container's own `command` replaces it, as it replaces an image's ENTRYPOINT.
"""

from collections.abc import Iterator, Mapping, Sequence

import yaml

from podling.launcher.cluster_file import write_private
from podling.launcher.errors import LauncherError
from podling.launcher.layout import Layout

Stamp = tuple[int, int]
"""Inode and modification time: both change when the file is replaced."""


class ImageError(LauncherError):
    """The table cannot be read, or has no such image."""


class ImageTable(Mapping[str, Sequence[str]]):
    """The table of one cluster, read again whenever the file has changed.

    Looking into it raises ImageError while the file is damaged.
    """

    def __init__(self, layout: Layout) -> None:
        self._path = layout.images
        self._stamp: Stamp | None = None
        self._images: dict[str, tuple[str, ...]] = {}

    def __getitem__(self, name: str) -> Sequence[str]:
        return self._current()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._current())

    def __len__(self) -> int:
        return len(self._current())

    def add(self, name: str, command: Sequence[str]) -> None:
        """Add an image, or replace the one of that name."""
        self._write({**self._current(), name: tuple(command)})

    def remove(self, name: str) -> None:
        if name not in self:
            raise ImageError(f"no image {name!r}; see: podling image list")
        self._write({key: command for key, command in self.items() if key != name})

    def _current(self) -> Mapping[str, Sequence[str]]:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return {}
        stamp = (status.st_ino, status.st_mtime_ns)
        if stamp != self._stamp:
            self._images, self._stamp = self._read(), stamp
        return self._images

    def _read(self) -> dict[str, tuple[str, ...]]:
        try:
            content = yaml.safe_load(self._path.read_text()) or {}
            return {str(name): _words(command) for name, command in content.items()}
        except (OSError, ValueError, yaml.YAMLError, AttributeError, TypeError) as error:
            raise ImageError(f"{self._path} is damaged: {error}") from error

    def _write(self, images: Mapping[str, Sequence[str]]) -> None:
        content = {name: list(command) for name, command in sorted(images.items())}
        write_private(self._path, yaml.safe_dump(content), durable=True)


def _words(command: object) -> tuple[str, ...]:
    if not isinstance(command, list) or not command:
        raise TypeError(f"a command is a list of words, not {command!r}")
    return tuple(str(word) for word in command)
