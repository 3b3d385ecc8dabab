"""Reading the kernel's process table: who lives, since when, below whom, in which session.

A process id alone names nobody: it is used again after its owner ended. A process is therefore
known by its id and its start time (field 22 of /proc/PID/stat, clock ticks since boot; proc(5)).
The kernel does not hand out an id while any process still uses it as its session or group id.
"""

import os
import select
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Stat:
    """What /proc/PID/stat tells about one process."""

    pid: int
    state: str
    """One letter: `Z` is a process that has ended and waits to be reaped."""
    parent: int
    session: int
    cpu_ticks: int
    """User and system time of the process and of its children that were waited for."""
    start_ticks: int
    """Clock ticks between boot and the start of the process."""


def stat(pid: int) -> Stat | None:
    """None if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except OSError:
        return None
    # `pid (name) state ppid pgrp session …`: the name may hold spaces and brackets.
    fields = text[text.rindex(b")") + 2 :].split()
    return Stat(
        pid=pid,
        state=fields[0].decode(),
        parent=int(fields[1]),
        session=int(fields[3]),
        cpu_ticks=sum(int(field) for field in fields[11:15]),
        start_ticks=int(fields[19]),
    )


def children(pid: int) -> list[int]:
    """The direct children of a single-threaded process; empty if it is gone."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", "rb") as file:
            return [int(child) for child in file.read().split()]
    except FileNotFoundError:
        if not os.path.exists(f"/proc/{pid}"):
            return []
        # A kernel without CONFIG_PROC_CHILDREN.
        return [entry.pid for entry in all_processes() if entry.parent == pid]
    except ProcessLookupError:
        return []


def descendants(pid: int) -> list[int]:
    """Everything below `pid`, parents before children; threads' children are seen too."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        below = _children_of_all_threads(waiting.pop())
        found += below
        waiting += below
    return found


def _children_of_all_threads(pid: int) -> list[int]:
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    if len(threads) == 1:
        return children(pid)
    found: list[int] = []
    for thread in threads:
        try:
            found += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_bytes().split())
        except OSError:
            continue
    return found


def all_processes() -> Iterator[Stat]:
    for name in os.listdir("/proc"):
        if name.isdigit() and (found := stat(int(name))) is not None:
            yield found


def environment_value(pid: int, name: str) -> str:
    """The variable `name` with which the process was started; empty if unknown."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            text = file.read()
    except OSError:
        return ""
    wanted = name.encode() + b"="
    for entry in text.split(b"\0"):
        if entry.startswith(wanted):
            return entry[len(wanted) :].decode(errors="replace")
    return ""


def boot_id() -> str:
    """Changes with every boot; start times and ids of another boot mean nothing."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def forks_since_boot() -> int:
    """How many processes and threads the machine has made, or -1 if it does not say."""
    try:
        for line in Path("/proc/stat").read_bytes().splitlines():
            if line.startswith(b"processes "):
                return int(line.split()[1])
    except (OSError, ValueError):
        pass
    return -1


def ids_before_reuse() -> int:
    """At least this many forks must pass before the kernel hands out an id a second time."""
    try:
        return int(Path("/proc/sys/kernel/pid_max").read_text()) // 2
    except (OSError, ValueError):
        return 0


def kill_all(victims: Iterable[Stat]) -> list[int]:
    """SIGKILL each process that is still the one described; return open pidfds of those hit."""
    fds: list[int] = []
    for victim in victims:
        try:
            fd = os.pidfd_open(victim.pid)
        except OSError:
            continue
        # The descriptor pins the process: if the start time is right now, it is the right one.
        now = stat(victim.pid)
        if now is None or now.start_ticks != victim.start_ticks or not _kill(fd):
            os.close(fd)
        else:
            fds.append(fd)
    return fds


def _kill(fd: int) -> bool:
    try:
        signal.pidfd_send_signal(fd, signal.SIGKILL)
    except OSError:
        return False
    return True


def wait_ended(fds: Iterable[int], timeout: float) -> None:
    """Wait until the processes behind `fds` have ended, `timeout` seconds for each; close them."""
    for fd in fds:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        poll.poll(timeout * 1000)
        os.close(fd)
