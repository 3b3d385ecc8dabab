"""Takes over a socket that another process of this user holds open.

Linux only (pidfd_getfd(2), since 5.6); it needs the permission to trace that process.
"""

import ctypes
import os
import socket

PIDFD_GETFD = 438
"""The system call's number, the same on every architecture."""


def take_socket(pid: int, descriptor: int) -> socket.socket | None:
    """A duplicate of that process's socket; None where the system does not let us."""
    try:
        process = os.pidfd_open(pid)
    except OSError:
        return None
    try:
        taken = ctypes.CDLL(None, use_errno=True).syscall(PIDFD_GETFD, process, descriptor, 0)
    finally:
        os.close(process)
    return None if taken < 0 else socket.socket(fileno=taken)
