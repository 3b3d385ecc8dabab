"""Ports for programs that cannot choose their own.

They are none of those that the kernel gives to outgoing connections and to whoever asks for any
port, so that nobody comes upon one by chance before it is used, or while a program is restarted.
Where the kernel gives all of them, they are what there is.
Each process of tests has a block of them, which is locked for as long as it lives.
"""

import functools
import itertools
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

HOST = "127.0.0.1"
FIRST, END = 20_000, 65_536
BLOCK = 250
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_ports(count: int) -> list[int]:
    """Different TCP ports of 127.0.0.1 that are free, and that nobody else takes."""
    once_each = itertools.islice(_block(), BLOCK)
    free = list(itertools.islice(filter(_is_free, once_each), count))
    assert len(free) == count, f"of the {BLOCK} ports of this process {len(free)} are free"
    return free


@functools.cache
def _block() -> Iterator[int]:
    """The ports of this process, again and again: those of earlier tests are free by then."""
    low, high = map(int, EPHEMERAL.read_text().split())
    for start in starts(low, high):
        lock = socket.socket(socket.AF_UNIX)
        try:
            lock.bind(f"\0podling-test-ports-{start}")
        except OSError:
            lock.close()
            continue
        lock.detach()  # open until the process ends
        return itertools.cycle(range(start, start + BLOCK))
    raise RuntimeError(f"every block of ports from {FIRST} to {END} is taken by other tests")


def starts(low: int, high: int) -> Sequence[int]:
    """Where blocks begin, if the kernel gives the ports from `low` to `high`."""
    every = range(FIRST, END - BLOCK + 1, BLOCK)
    return [start for start in every if start + BLOCK <= low or start > high] or every


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
