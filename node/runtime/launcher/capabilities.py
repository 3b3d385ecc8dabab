"""What this machine lets the launcher do for a pod, found out by trying it."""

import os
import tempfile
from dataclasses import asdict, dataclass
from typing import NoReturn

from podling.node.runtime.launcher import linux, mount_namespace
from podling.node.runtime.launcher.mount_namespace import Way


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Found once, when the launcher starts."""

    mount_namespace: Way
    """How a pod can be given mounts of its own: volumes, /etc/resolv.conf, /etc/hosts."""
    mount_namespace_reason: str
    """Why not, for people; empty if it can."""

    def to_json(self) -> dict[str, str]:
        return asdict(self)


SWITCHED_OFF = Capabilities("none", "switched off by configuration")


def probe() -> Capabilities:
    """Try in a child process; takes some milliseconds. Call it before SIGCHLD is handled."""
    ways: tuple[Way, ...] = ("root", "user") if os.getuid() == 0 else ("user",)
    reasons = []
    for way in ways:
        reason = _try(way)
        if not reason:
            return Capabilities(way, "")
        reasons.append(f"{way}: {reason}")
    return Capabilities("none", "; ".join(reasons))


def _try(way: Way) -> str:
    """Why `way` does not work; empty if it does."""
    read, write = os.pipe2(os.O_CLOEXEC)
    with tempfile.TemporaryDirectory(prefix="podling-probe-") as folder:
        pid = os.fork()
        if pid == 0:
            _become(way, folder, write)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            answer = pipe.read()
        os.waitpid(pid, 0)
    return "" if answer == b"ok" else answer.decode(errors="replace") or "the trial died"


def _become(way: Way, folder: str, answer: int) -> NoReturn:
    try:
        mount_namespace.unshare(way)
        linux.mount(folder, folder, flags=linux.MS_BIND)
        os.write(answer, b"ok")
    except OSError as error:
        os.write(answer, (error.strerror or str(error)).encode())
    finally:
        os._exit(0)
