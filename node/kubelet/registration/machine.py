"""What the machine under the node says about itself (Linux's /proc, uname)."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Self

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
"""uname's words and Go's, which Kubernetes uses."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Facts that do not change while the kubelet runs."""

    architecture: str
    operating_system: str
    kernel_version: str
    os_image: str
    machine_id: str
    boot_id: str
    cpus: int
    memory: int
    """Bytes."""
    storage: int
    """Bytes of the file system that holds the pods."""

    @classmethod
    def read(cls, directory: Path) -> Self:
        """`directory`: where the pods' files will be; its parents may be all there is yet."""
        uname = os.uname()
        while not directory.exists():
            directory = directory.parent
        disk = os.statvfs(directory)
        return cls(
            architecture=ARCHITECTURES.get(uname.machine, uname.machine),
            operating_system=uname.sysname.lower(),
            kernel_version=uname.release,
            os_image=_os_image(),
            machine_id=_line("/etc/machine-id"),
            boot_id=_line("/proc/sys/kernel/random/boot_id"),
            cpus=os.cpu_count() or 1,
            memory=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
            storage=disk.f_blocks * disk.f_frsize,
        )


def _line(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _os_image() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return platform.system()
