"""The Linux calls that Python's `os` does not offer, through one preloaded libc handle.

They are called between fork and exec, hence the handle is loaded with the module: loading a library
there would be slow and could deadlock. Every function raises `OSError` with the kernel's errno.
Numbers: linux/prctl.h, linux/sched.h, linux/mount.h, linux/close_range.h.
"""

import ctypes
import os
import signal

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
PR_SET_CHILD_SUBREAPER = 36

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MNT_DETACH = 2

_CLOSE_RANGE = 436  # the same number on every architecture, as all calls since 424
_CLOSE_RANGE_CLOEXEC = 4
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41}

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """SIGKILL this process when the thread that forked it ends (prctl(2), PR_SET_PDEATHSIG).

    The kernel forgets this when the process changes its user: call it after that.
    """
    _check(_libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends."""
    _check(_libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl(PR_SET_CHILD_SUBREAPER)")


def forbid_new_privileges() -> None:
    """No exec from here on gains privileges (setuid programs, file capabilities)."""
    _check(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(PR_SET_NO_NEW_PRIVS)")


def close_on_exec_from(first: int) -> None:
    """Mark every descriptor from `first` up close-on-exec; a kernel without the call is let be."""
    _libc.syscall(_CLOSE_RANGE, ctypes.c_uint(first), ctypes.c_uint(0xFFFFFFFF),
                  ctypes.c_uint(_CLOSE_RANGE_CLOEXEC))  # fmt: skip


def unshare(flags: int) -> None:
    _check(_libc.unshare(flags), "unshare")


def set_namespace(fd: int, kind: int) -> None:
    """Enter the namespace that `fd` (an open file of /proc/PID/ns) stands for."""
    _check(_libc.setns(fd, kind), "setns")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    result = _libc.mount(
        os.fsencode(source), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags),
        os.fsencode(data) if data else None,
    )  # fmt: skip
    _check(result, "mount", target)


def unmount(target: str, flags: int) -> None:
    _check(_libc.umount2(os.fsencode(target), flags), "umount", target)


def pivot_root(new_root: str) -> None:
    """Make the mount point `new_root` this process's root and let go of the old one."""
    number = _PIVOT_ROOT.get(os.uname().machine)
    if number is None:
        raise OSError(38, "pivot_root is not known on this architecture")
    os.chdir(new_root)
    _check(_libc.syscall(number, b".", b"."), "pivot_root", new_root)
    unmount(".", MNT_DETACH)
    os.chdir("/")


def _check(result: int, call: str, target: str = "") -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}", *((target,) if target else ()))
