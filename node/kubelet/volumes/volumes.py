"""The volumes of the node's pods, as directories and files of the host.

    ROOT/pods/UID/volumes/NAME/            an emptyDir
    ROOT/pods/UID/volumes/NAME/..data      -> ..8f3a…, a link that is swapped in one step
    ROOT/pods/UID/volumes/NAME/..8f3a…/k   a file made from an object
    ROOT/pods/UID/volumes/NAME/k           -> ..data/k

So a reader sees all files of one version of the object or all of the next, never a mixture. The
directory's name is a hash of what is in it: unchanged content is not written again.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from podling.kube import meta
from podling.kube.meta import Object
from podling.node.cripb import api_pb2 as cri
from podling.node.kubelet.containers import expansion
from podling.node.kubelet.containers.downward import PodFacts
from podling.node.kubelet.containers.references import MissingReferenceError, Sources
from podling.node.kubelet.volumes import volume_files
from podling.node.kubelet.volumes.volume_files import VolumeFile

DATA = "..data"


class Volumes:
    """Makes and removes what is below `root`. Its calls block, for as long as small files take."""

    def __init__(self, root: Path) -> None:
        self._root = root / "pods"

    def set_up(self, pod: Object, sources: Sources, facts: PodFacts) -> None:
        """Make all volumes of the pod be there and current.

        MissingReferenceError names what is missing; what a pod may not have is said alike.
        """
        self._root.mkdir(mode=0o750, parents=True, exist_ok=True)
        for volume in pod["spec"].get("volumes") or []:
            try:
                self._set_up(pod, volume, sources, facts)
            except OSError as error:
                raise MissingReferenceError(f'volume "{volume["name"]}": {error}') from None

    def mounts(self, pod: Object, spec: Object, environment: dict[str, str]) -> list[cri.Mount]:
        """The mounts of container `spec`, whose volumes have been set up."""
        volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes") or []}
        found = []
        for mount in spec.get("volumeMounts") or []:
            volume = volumes.get(mount["name"])
            if volume is None:
                raise MissingReferenceError(f'volume "{mount["name"]}" is not one of the pod\'s')
            try:
                host = self._host_path(pod, volume, mount, environment)
            except OSError as error:
                raise MissingReferenceError(f'volume "{mount["name"]}": {error}') from None
            readonly = bool(mount.get("readOnly")) or volume_files.has_files(volume)
            found.append(
                cri.Mount(container_path=mount["mountPath"], host_path=str(host), readonly=readonly)
            )
        return found

    def tear_down(self, uid: str) -> None:
        """Remove everything of a pod; it may be gone already."""
        shutil.rmtree(self._root / uid, ignore_errors=True)

    def uids(self) -> list[str]:
        """The pods that have directories here."""
        return sorted(path.name for path in self._root.iterdir()) if self._root.is_dir() else []

    def directory(self, uid: str, name: str) -> Path:
        return self._root / uid / "volumes" / name

    def _set_up(self, pod: Object, volume: Object, sources: Sources, facts: PodFacts) -> None:
        directory = self.directory(meta.uid(pod), volume["name"])
        if volume_files.has_files(volume):
            directory.mkdir(mode=0o755, parents=True, exist_ok=True)
            write_files(directory, volume_files.files(pod, volume, sources, facts))
        elif "hostPath" in volume:
            _check_host_path(volume["hostPath"])
        elif "emptyDir" in volume or set(volume) == {"name"}:
            directory.mkdir(mode=0o777, parents=True, exist_ok=True)
            directory.chmod(0o777)
        else:
            kind = next(key for key in volume if key != "name")
            raise MissingReferenceError(
                f'volume "{volume["name"]}": volumes of type {kind} are not supported by this node'
            )

    def _host_path(
        self, pod: Object, volume: Object, mount: Object, environment: dict[str, str]
    ) -> Path:
        base = self.directory(meta.uid(pod), volume["name"])
        if "hostPath" in volume:
            base = Path(volume["hostPath"]["path"])
        below = mount.get("subPath") or ""
        if mount.get("subPathExpr"):
            below = expansion.expand(mount["subPathExpr"], environment)
        if not below:
            return base
        wanted = base / below
        if not wanted.exists():
            wanted.mkdir(parents=True)
        real = wanted.resolve()
        if not real.is_relative_to(base.resolve()):
            raise MissingReferenceError(
                f'volume "{volume["name"]}": subPath "{below}" leads out of the volume'
            )
        return real


def write_files(directory: Path, files: Iterable[VolumeFile]) -> bool:
    """Make `files` the content of a volume in one step; whether anything changed."""
    files = sorted(files, key=lambda file: file.path)
    version = _version(files)
    link = directory / DATA
    old = os.readlink(link) if link.is_symlink() else ""
    if old == version:
        return False
    staged = directory / version
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(mode=0o755)
    for file in files:
        path = staged / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            out.write(file.content)
        path.chmod(file.mode)
    swapped = directory / f"{DATA}.next"
    swapped.unlink(missing_ok=True)
    swapped.symlink_to(version)
    swapped.rename(link)
    _link_names(directory, {file.path.split("/")[0] for file in files})
    if old:
        shutil.rmtree(directory / old, ignore_errors=True)
    return True


def _link_names(directory: Path, names: set[str]) -> None:
    """Every top-level name leads through `..data`; names that are no more, are removed."""
    for entry in directory.iterdir():
        if not entry.name.startswith("..") and entry.name not in names:
            entry.unlink()
    for name in names:
        entry = directory / name
        if not entry.is_symlink():
            entry.symlink_to(f"{DATA}/{name}")


def _version(files: Iterable[VolumeFile]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.path}\0{file.mode:o}\0{len(file.content)}\0".encode())
        digest.update(file.content)
    return f"..{digest.hexdigest()[:16]}"


def _check_host_path(source: Object) -> None:
    path, kind = Path(source["path"]), source.get("type") or ""
    if kind == "DirectoryOrCreate":
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
    elif kind == "FileOrCreate":
        path.touch(mode=0o644, exist_ok=True)
    tests = {
        "Directory": path.is_dir,
        "DirectoryOrCreate": path.is_dir,
        "File": path.is_file,
        "FileOrCreate": path.is_file,
        "Socket": path.is_socket,
        "CharDevice": path.is_char_device,
        "BlockDevice": path.is_block_device,
    }
    test = tests.get(kind, path.exists)
    if not test():
        raise MissingReferenceError(f"hostPath {path} is not there, or not a {kind or 'path'}")
