"""Ports for programs that cannot choose their own."""

import contextlib
import socket


def free_ports(count: int) -> list[int]:
    """Different TCP ports, free on 127.0.0.1 a moment ago."""
    with contextlib.ExitStack() as probes:
        ports = []
        for _ in range(count):
            probe = probes.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            ports.append(int(probe.getsockname()[1]))
        return ports
