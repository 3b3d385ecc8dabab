"""What an image name stands for on a node without images: a command. Pure.

A name is looked up as written, then without tag and digest, then also without the registries that
people leave out. What no entry maps runs the container's own command on the node:

    image "python:3.12"               built in: `python3`
    image "docker.io/library/busybox" built in: `sh`
    image "example.com/shop:7"        the container's `command`; without one it cannot run

As in a container engine, a container's `command` replaces the image's whole command, and its `args`
replace the image's arguments only. Unlike there, `$(NAME)` in a configured command stands for the
container's variable of that name (and `$$` for one dollar sign), as it does in a container's own
`command`: so an image can be told to bind `$(POD_IP)`.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

_VARIABLE = re.compile(r"\$(?:\$|\(([^()]*)\))")

_IMPLIED = ("docker.io/library/", "docker.io/", "library/", "registry.k8s.io/", "k8s.gcr.io/")

# The grammar of image references (distribution/reference), as far as it refuses nonsense.
_REFERENCE = re.compile(
    r"(?:[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]+)?/)?"
    r"[a-z0-9]+(?:(?:[._/]|__|-+)[a-z0-9]+)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"
    r"(?:@[a-z0-9]+:[0-9a-f]{32,})?"
)


@dataclass(frozen=True, slots=True)
class ImageCommand:
    """What an image runs: `entrypoint` and then `args`."""

    entrypoint: tuple[str, ...]
    args: tuple[str, ...] = ()


BUILT_IN: Mapping[str, ImageCommand] = {
    "pause": ImageCommand(("sleep",), ("infinity",)),
    "busybox": ImageCommand((), ("sh",)),
    "alpine": ImageCommand((), ("sh",)),
    "debian": ImageCommand((), ("bash",)),
    "ubuntu": ImageCommand((), ("bash",)),
    "bash": ImageCommand((), ("bash",)),
    "python": ImageCommand((), ("python3",)),
}


class NoCommand(Exception):
    """Neither the image nor the container says what to run; the text says what to do."""


class ImageTable:
    """The images of a node: built-in ones, and those of its configuration, which come first."""

    def __init__(self, configured: Mapping[str, Sequence[str]]) -> None:
        """`configured`: name, with or without tag, to a command with its arguments.

        It is looked into at each call, so it may change over time.
        """
        self._configured = configured

    def names(self) -> list[str]:
        return sorted({*BUILT_IN, *self._configured})

    def find(self, image: str) -> ImageCommand | None:
        for name in _spellings(image):
            if name in self._configured:
                return ImageCommand(tuple(self._configured[name]))
            if name in BUILT_IN:
                return BUILT_IN[name]
        return None

    def argv(
        self,
        image: str,
        command: Sequence[str],
        args: Sequence[str],
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> tuple[str, ...]:
        """The words to execute, the image's own filled with `variables`. Raises NoCommand."""
        if command:
            return (*command, *args)
        found = self.find(image)
        if found is None:
            raise NoCommand(
                f'image "{image}" stands for no command on this node, and the container has none '
                f'of its own: give the container a "command", or map the image to one in the '
                f"node's image table"
            )
        entrypoint = (_filled(word, variables) for word in found.entrypoint)
        return (*entrypoint, *(args or found.args))


def _filled(word: str, variables: Mapping[str, str]) -> str:
    """`word` with its references replaced; one to an unknown variable stays as it is."""

    def replace(match: re.Match[str]) -> str:
        name = match.group(1)
        return "$" if name is None else variables.get(name, match.group(0))

    return _VARIABLE.sub(replace, word)


def is_valid(image: str) -> bool:
    return len(image) <= 1000 and _REFERENCE.fullmatch(image) is not None


def image_id(image: str) -> str:
    """A stable id in the form of a digest; names without tag and with `:latest` share it."""
    name = image if "@" in image or ":" in image.rpartition("/")[2] else f"{image}:latest"
    return "sha256:" + hashlib.sha256(name.encode()).hexdigest()


def _spellings(image: str) -> list[str]:
    bare = image.partition("@")[0]
    head, slash, tail = bare.rpartition("/")
    repository = head + slash + tail.partition(":")[0]
    found = [image, bare, repository]
    for prefix in _IMPLIED:
        found += [name.removeprefix(prefix) for name in (bare, repository)]
    return found
