"""`D/images.yaml`: what an image name stands for on this machine.

    nginx:1.27: {command: [/usr/sbin/nginx, -g, "daemon off;"]}
    shop/cart:3: {command: [/srv/cart/.venv/bin/python, -m, cart], workingDir: /srv/cart}

There is no registry to pull from: an image is a name for a command. A container's own `command`
and `args` go before it, as they do before an image's ENTRYPOINT and CMD.
"""

from dataclasses import dataclass
from typing import Any

import yaml

from podling.launcher.cluster_file import write_private
from podling.launcher.errors import LauncherError
from podling.launcher.layout import Layout


class ImageError(LauncherError):
    """The table cannot be read, or has no such image."""


@dataclass(frozen=True, slots=True)
class Image:
    command: tuple[str, ...]
    working_dir: str = ""


class ImageTable:
    """The table of one cluster; its nodes read it again whenever it changes."""

    def __init__(self, layout: Layout) -> None:
        self._path = layout.images

    def images(self) -> dict[str, Image]:
        try:
            content = yaml.safe_load(self._path.read_text()) or {}
            return {str(name): _image(entry) for name, entry in content.items()}
        except FileNotFoundError:
            return {}
        except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
            raise ImageError(f"{self._path} is damaged: {error}") from error

    def add(self, name: str, image: Image) -> None:
        """Add an image, or replace the one of that name."""
        self._write(self.images() | {name: image})

    def remove(self, name: str) -> None:
        images = self.images()
        if images.pop(name, None) is None:
            raise ImageError(f"no image {name!r}; see: podling image list")
        self._write(images)

    def _write(self, images: dict[str, Image]) -> None:
        content = {
            name: {"command": list(image.command)}
            | ({"workingDir": image.working_dir} if image.working_dir else {})
            for name, image in sorted(images.items())
        }
        write_private(self._path, yaml.safe_dump(content), durable=True)


def _image(entry: Any) -> Image:
    return Image(tuple(str(word) for word in entry["command"]), str(entry.get("workingDir", "")))
