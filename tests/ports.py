"""Ports for programs that cannot choose their own.

They lie below those that the kernel gives to outgoing connections and to whoever asks for any
port, so that nobody comes upon one by chance before it is used, or while a program is restarted.
Each process of tests has a block of them, which is locked for as long as it lives.
"""

import functools
import itertools
import socket
from collections.abc import Iterator
from pathlib import Path

HOST = "127.0.0.1"
FIRST = 20_000
BLOCK = 250
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_ports(count: int) -> list[int]:
    """Different TCP ports of 127.0.0.1 that are free, and that nobody else takes."""
    free = filter(_is_free, _block())
    return list(itertools.islice(free, count))


@functools.cache
def _block() -> Iterator[int]:
    """The ports of this process, again and again: those of earlier tests are free by then."""
    end = int(EPHEMERAL.read_text().split()[0])
    for start in range(FIRST, end - BLOCK, BLOCK):
        lock = socket.socket(socket.AF_UNIX)
        try:
            lock.bind(f"\0podling-test-ports-{start}")
        except OSError:
            lock.close()
            continue
        lock.detach()  # open until the process ends
        return itertools.cycle(range(start, start + BLOCK))
    raise RuntimeError(f"every block of ports from {FIRST} to {end} is taken by other tests")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
