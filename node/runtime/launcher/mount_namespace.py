"""Carrying out a mount plan in a namespace of this process's own, and finding out who may.

Everything here runs in a forked child: it must neither log nor touch the event loop.
"""

import os
from pathlib import Path
from typing import Literal

from podling.node.runtime.launcher import linux
from podling.node.runtime.launcher.mount_plan import MountPlan, Node, Overlay

#: How a mount namespace can be had: as root, inside a user namespace, or not at all.
Way = Literal["root", "user", "none"]

# What a remount must repeat of a mount's flags: inside a user namespace they are locked.
_KEPT = ((os.ST_NOSUID, linux.MS_NOSUID), (os.ST_NODEV, linux.MS_NODEV),
         (os.ST_NOEXEC, linux.MS_NOEXEC))  # fmt: skip


def enter(way: Way, plan: MountPlan, scratch: str) -> None:
    """Give this process a mount namespace that looks as `plan` says.

    `scratch` is an existing folder that nothing else uses. Raises OSError naming the call.
    """
    unshare(way)
    if plan.top:
        _new_root(os.path.join(scratch, "root"), plan.top)
    if plan.overlays:
        _overlay_all(os.path.join(scratch, "layers"), plan.overlays, way)
    for step in plan.steps:
        if step.make:
            _make(step.bind.target, step.is_file)
        _bind(step.bind.source, step.bind.target, step.bind.read_only)


def unshare(way: Way) -> None:
    """A mount namespace whose mounts nobody else sees."""
    if way == "user":
        user, group = os.getuid(), os.getgid()
        linux.unshare(linux.CLONE_NEWUSER | linux.CLONE_NEWNS)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    else:
        linux.unshare(linux.CLONE_NEWNS)
    linux.mount("none", "/", flags=linux.MS_REC | linux.MS_PRIVATE)


def join(pid: int, way: Way) -> None:
    """Enter the mount namespace of process `pid`."""
    own_user = f"/proc/{pid}/ns/user"
    mounts = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    if way == "user":
        linux.set_namespace(os.open(own_user, os.O_RDONLY | os.O_CLOEXEC), linux.CLONE_NEWUSER)
    linux.set_namespace(mounts, linux.CLONE_NEWNS)


def _new_root(root: str, nodes: tuple[Node, ...]) -> None:
    os.makedirs(root, exist_ok=True)
    entries = os.listdir("/")
    linux.mount("tmpfs", root, "tmpfs", data="mode=755")
    _show_entries("/", entries, root)
    for node in nodes:
        _make(root + node.path, node.is_file)
    linux.pivot_root(root)


def _show_entries(old: str, entries: list[str], new: str) -> None:
    """Make every entry of the folder `old` seen in the empty folder `new`."""
    for name in entries:
        source, target = os.path.join(old, name), os.path.join(new, name)
        if os.path.islink(source):
            os.symlink(os.readlink(source), target)
            continue
        _make(target, not os.path.isdir(source))
        linux.mount(source, target, flags=linux.MS_BIND | linux.MS_REC)


def _overlay_all(layers: str, overlays: tuple[Overlay, ...], way: Way) -> None:
    os.makedirs(layers, exist_ok=True)
    linux.mount("tmpfs", layers, "tmpfs", data="mode=755")
    for number, overlay in enumerate(overlays):
        # An overlay shows one file system only: what is mounted in the folder is put back.
        below = _mounted_below(overlay.path)
        kept = f"{layers}/{number}.kept"
        os.mkdir(kept)
        linux.mount(overlay.path, kept, flags=linux.MS_BIND | linux.MS_REC)
        if overlay.path == "/dev":
            # Device files do not work through an overlay inside a user namespace.
            linux.mount("tmpfs", "/dev", "tmpfs", data="mode=755")
            _show_entries(kept, os.listdir(kept), "/dev")
            for node in overlay.nodes:
                _make(node.path, node.is_file)
            continue
        _overlay(overlay, f"{layers}/{number}", way)
        for path in below:
            linux.mount(kept + path[len(overlay.path) :], path,
                        flags=linux.MS_BIND | linux.MS_REC)  # fmt: skip


def _overlay(overlay: Overlay, layer: str, way: Way) -> None:
    upper, work = f"{layer}.upper", f"{layer}.work"
    os.mkdir(upper)
    os.mkdir(work)
    # The merged folder has the upper layer's mode: /tmp must stay open to all.
    os.chmod(upper, os.stat(overlay.path).st_mode & 0o7777)
    for node in overlay.nodes:
        _make(upper + node.path[len(overlay.path) :], node.is_file)
    data = f"lowerdir={overlay.path},upperdir={upper},workdir={work}"
    linux.mount("overlay", overlay.path, "overlay",
                data=data + (",userxattr" if way == "user" else ""))  # fmt: skip


def _mounted_below(folder: str) -> list[str]:
    """The mount points below `folder` that lie in no other of them."""
    found: list[str] = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        # Spaces and the like are written as octal numbers: `\040` (proc(5)).
        path = line.split(" ")[4].encode().decode("unicode_escape")
        if path.startswith(folder + "/") and os.path.isdir(path):
            found.append(path)
    return [path for path in set(found)
            if not any(path.startswith(other + "/") for other in found)]  # fmt: skip


def _make(path: str, is_file: bool) -> None:
    if os.path.exists(path):
        return
    if not is_file:
        os.makedirs(path, exist_ok=True)
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))


def _bind(source: str, target: str, read_only: bool) -> None:
    linux.mount(source, target, flags=linux.MS_BIND | linux.MS_REC)
    if read_only:
        present = os.statvfs(target).f_flag
        kept = sum(flag for seen, flag in _KEPT if present & seen)
        linux.mount("none", target,
                    flags=linux.MS_BIND | linux.MS_REMOUNT | linux.MS_RDONLY | kept)  # fmt: skip
