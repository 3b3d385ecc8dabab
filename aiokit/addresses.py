"""Addresses to listen on."""

import socket


def check_free(address: str) -> None:
    """Raise OSError if no socket can listen on `address` (`host:port`; brackets around IPv6).

    It says why in the system's words. The gRPC library does not: its error tells where to find
    more, and a line of its own goes to stderr. As somebody may take the address right after, what
    listens has to look at its own errors as well.
    """
    host, _, port = address.rpartition(":")
    found = socket.getaddrinfo(host.strip("[]") or None, port, type=socket.SOCK_STREAM)
    failure: OSError | None = None
    for family, kind, protocol, _, at in found:
        try:
            with socket.socket(family, kind, protocol) as tried:
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                tried.bind(at)
        except OSError as error:
            failure = error
        else:
            return
    if failure is not None:
        raise failure
