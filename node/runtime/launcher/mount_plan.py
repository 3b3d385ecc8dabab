"""Deciding how to show a process files and folders of the node at other paths. Pure.

A bind mount needs something to stand on. Where the target does not exist on the node, the node
itself must not be touched, so the plan builds what is missing inside the process's own mount
namespace:

    target exists                       bind on it
    /etc/app/conf, /etc exists          an overlay over /etc whose upper layer, in memory, has app/
    /data, / has no data                a new root in memory, that shows every entry of / and data/
    below an earlier target             made inside that mount, as container engines do

Worked example, on a node with /etc and without /data:

    binds  /srv/a -> /etc/app, /srv/b -> /data, /srv/c -> /data/logs
    plan   top=(Node("/data"),), overlays=(Overlay("/etc", (Node("/etc/app"),)),),
           steps=(Step(bind a), Step(bind b), Step(bind c, make=True))
"""

import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from podling.node.runtime.launcher.protocol import Bind

Kind = Literal["file", "folder", "missing"]


class MountError(Exception):
    """The binds cannot be had; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Node:
    """A mount point to make: an empty file or an empty folder."""

    path: str
    is_file: bool = False


@dataclass(frozen=True, slots=True)
class Overlay:
    """A writable layer in memory over the folder `path`, holding `nodes`."""

    path: str
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One bind mount; `make`: its target lies in an earlier one and may have to be made there."""

    bind: Bind
    is_file: bool
    make: bool = False


@dataclass(frozen=True, slots=True)
class MountPlan:
    """What to mount, in this order: new root (if `top`), overlays, steps."""

    top: tuple[Node, ...]
    overlays: tuple[Overlay, ...]
    steps: tuple[Step, ...]


def plan(
    binds: Sequence[Bind], kind_of: Callable[[str], Kind], resolve: Callable[[str], str]
) -> MountPlan:
    """How to make `binds` seen.

    `kind_of` says what is at a path of the node, links followed; `resolve` follows the links in
    those parts of a path that exist. Raises MountError.
    """
    steps: list[Step] = []
    missing: list[tuple[str, Node]] = []
    for bind in sorted(binds, key=lambda bind: bind.target.count("/")):
        is_file = _source_is_file(bind, kind_of)
        target = resolve(bind.target)
        _check_target(bind, target)
        inside = any(_is_below(target, step.bind.target) for step in steps)
        if not inside:
            there = kind_of(target)
            if there == "missing":
                missing.append((_nearest_folder(target, kind_of), Node(target, is_file)))
            elif (there == "file") != is_file:
                raise MountError(
                    f"cannot mount {bind.source} at {bind.target}: "
                    f"one is a file and the other a folder"
                )
        steps.append(Step(Bind(bind.source, target, bind.read_only), is_file, make=inside))
    top = tuple(node for ancestor, node in missing if ancestor == "/")
    return MountPlan(top, _overlays(missing), tuple(steps))


def unseen(binds: Sequence[Bind], same: Callable[[str, str], bool]) -> list[Bind]:
    """The binds that a process without a mount namespace would miss: path and content differ."""
    return [bind for bind in binds if not same(bind.source, bind.target)]


def _overlays(missing: Sequence[tuple[str, Node]]) -> tuple[Overlay, ...]:
    folders: dict[str, list[Node]] = {}
    for ancestor, node in sorted(missing, key=lambda entry: len(entry[0])):
        if ancestor == "/":
            continue
        # An overlay higher up already covers it: layers are not stacked.
        holder = next((path for path in folders if _is_below(node.path, path)), ancestor)
        folders.setdefault(holder, []).append(node)
    return tuple(Overlay(path, tuple(nodes)) for path, nodes in folders.items())


def _source_is_file(bind: Bind, kind_of: Callable[[str], Kind]) -> bool:
    kind = kind_of(bind.source)
    if kind == "missing":
        raise MountError(f"cannot mount {bind.source} at {bind.target}: it does not exist")
    return kind == "file"


def _check_target(bind: Bind, target: str) -> None:
    if not posixpath.isabs(bind.target) or target == "/":
        raise MountError(
            f"cannot mount {bind.source} at {bind.target!r}: "
            f"the path must be absolute and not the root"
        )


def _nearest_folder(path: str, kind_of: Callable[[str], Kind]) -> str:
    ancestor = posixpath.dirname(path)
    while (kind := kind_of(ancestor)) == "missing":
        ancestor = posixpath.dirname(ancestor)
    if kind == "file":
        raise MountError(f"cannot mount at {path}: {ancestor} is a file")
    return ancestor


def _is_below(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip("/") + "/")
