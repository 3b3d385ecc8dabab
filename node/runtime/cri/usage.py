"""How much processor and memory a container uses: summed over its living processes, from /proc."""

import os
from dataclasses import dataclass

from podling.node.runtime.launcher import process_table

_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Usage:
    cpu_nanoseconds: int
    """Of the living and of those they waited for."""
    resident_bytes: int
    processes: int


def of_tree(pid: int) -> Usage:
    """The process `pid` and everything below it; zeros if it is gone."""
    cpu = resident = count = 0
    for member in (pid, *process_table.descendants(pid)):
        stat = process_table.stat(member)
        if stat is None:
            continue
        cpu += stat.cpu_ticks * _TICK
        resident += _resident(member)
        count += 1
    return Usage(cpu, resident, count)


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except OSError:
        return 0
