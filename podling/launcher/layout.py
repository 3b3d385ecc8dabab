"""Where everything of one cluster lives: one folder, by default `~/.podling`.

cluster.yaml                 the launcher's one truth: replicas, nodes, addresses, ports
kubeconfig                   the administrator's, for kubectl and every other client
pki/ca.crt, pki/ca.key       the cluster's own certificate authority
pki/NAME.crt, pki/NAME.key   one certificate for each identity
data/NAME/                   a replica's log and snapshots; a node's pods and their state
logs/NAME.log                what each process says
run/NAME.lock                held by the running process, holds its pid
run/*.sock                   sockets between processes of this machine
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from podling.launcher.errors import LauncherError

SOCKET_PATH_MAX = 107
"""Bytes of a Unix socket's path (unix(7): sun_path holds 108 with its final zero)."""
PROCESS_NAME_MAX = 24
OPEN_FILES = "/proc/self/fd"
"""Linux shows a process its open files and folders there."""


class DirectoryError(LauncherError):
    """The folder cannot hold a cluster; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of the cluster in `root`, which is absolute."""

    root: Path

    @classmethod
    def at(cls, root: Path) -> "Layout":
        return cls(Path(os.path.abspath(root.expanduser())))

    @property
    def cluster_file(self) -> Path:
        return self.root / "cluster.yaml"

    @property
    def kubeconfig(self) -> Path:
        return self.root / "kubeconfig"

    @property
    def pki(self) -> Path:
        return self.root / "pki"

    @property
    def images(self) -> Path:
        return self.root / "images.yaml"

    def certificate(self, name: str) -> Path:
        return self.pki / f"{name}.crt"

    def key(self, name: str) -> Path:
        return self.pki / f"{name}.key"

    def data(self, name: str) -> Path:
        return self.root / "data" / name

    def log(self, name: str) -> Path:
        return self.root / "logs" / f"{name}.log"

    def lock(self, name: str) -> Path:
        return self.root / "run" / f"{name}.lock"

    def socket(self, name: str) -> Path:
        """The socket as its server names it: relative, because every process runs in `root`.

        A Unix socket's path is short by law, and a test's temporary folder is not.
        """
        return Path("run") / f"{name}.sock"

    def launcher_state(self, node: str) -> Path:
        """Where the node's launcher remembers its processes."""
        return self.data(node) / "launcher"

    @contextlib.contextmanager
    def reach(self, name: str) -> Iterator[str]:
        """The same socket as a process with another working directory reaches it.

        A path that is too long for a socket is shortened by way of its opened folder.
        """
        path = self.root / self.socket(name)
        if len(os.fsencode(path)) <= SOCKET_PATH_MAX:
            yield str(path)
            return
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield f"{OPEN_FILES}/{folder}/{path.name}"
        finally:
            os.close(folder)

    def create(self) -> None:
        """Make the folders, readable by their owner only; raises DirectoryError."""
        if self.root.exists() and not self.root.is_dir():
            raise DirectoryError(f"{self.root} is a file; a cluster needs a folder of its own")
        try:
            for folder in (self.root, self.pki, *(self.root / n for n in ("data", "logs", "run"))):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                _check_usable(folder)
        except OSError as error:
            raise DirectoryError(f"cannot make {error.filename}: {error.strerror}") from error
        longest = self.root / self.socket("x" * PROCESS_NAME_MAX)
        if len(os.fsencode(longest)) > SOCKET_PATH_MAX and not os.path.isdir(OPEN_FILES):
            raise DirectoryError(
                f"the path {self.root} is too long for a socket; use another --dir"
            )


def _check_usable(folder: Path) -> None:
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise DirectoryError(
            f"{folder} is not yours to write: give it to this user, or use another --dir"
        )
