"""What the machine under the node says about itself (Linux's /proc, uname)."""

import os
import platform
from pathlib import Path

from podling.node.kubelet.registration.node_object import Machine

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
"""uname's words and Go's, which Kubernetes uses."""


def read(directory: Path) -> Machine:
    """`directory`: where the pods' files will be; its parents may be all there is yet."""
    uname = os.uname()
    while not directory.exists():
        directory = directory.parent
    disk = os.statvfs(directory)
    return Machine(
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
