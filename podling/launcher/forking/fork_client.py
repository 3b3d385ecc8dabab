"""Asks the fork server (`podling.launcher.forking.fork_server`, where the protocol is told)."""

import json
import socket
from typing import Any

from podling.launcher.errors import LauncherError
from podling.launcher.layout import Layout

NAME = "forkserver"
TIMEOUT = 10.0
PING_TIMEOUT = 5.0
ANSWER_MAX = 64 * 1024


class ForkServerError(LauncherError):
    """It refused, or is not there; the text says which."""


class ForkClient:
    """Blocking calls, for the command line; one connection a call."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def start(self, name: str) -> int:
        """Fork the cluster's process of that name; returns its pid."""
        answer, _ = self._ask({"op": "start", "name": name})
        return int(answer["pid"])

    def listen(self, address: str, port: int) -> socket.socket:
        """The TCP listener of a service address, shared with whoever else asks for it."""
        _, descriptors = self._ask({"op": "listen", "address": address, "port": port})
        if not descriptors:
            raise ForkServerError(f"no listener for {address}:{port} came with the answer")
        return socket.socket(fileno=descriptors[0])

    def release(self, address: str, port: int) -> None:
        """The service is gone: nobody shall be given this listener any more."""
        self._ask({"op": "release", "address": address, "port": port})

    def exit(self) -> None:
        """End the fork server; what it forked goes on."""
        self._ask({"op": "exit"})

    def ping(self) -> None:
        """Have it answer; a connection alone would prove little, the kernel accepts it."""
        self._ask({"op": "ping"}, PING_TIMEOUT)

    def answers(self) -> bool:
        """Whether it is there."""
        try:
            self.ping()
        except ForkServerError:
            return False
        return True

    def _ask(
        self, request: dict[str, Any], timeout: float = TIMEOUT
    ) -> tuple[dict[str, Any], list[int]]:
        try:
            with socket.socket(socket.AF_UNIX) as connection, self._layout.reach(NAME) as path:
                connection.settimeout(timeout)
                connection.connect(path)
                connection.sendall(json.dumps(request).encode() + b"\n")
                data, descriptors, _, _ = socket.recv_fds(connection, ANSWER_MAX, 1)
        except OSError as error:
            raise ForkServerError(
                f"the fork server does not answer ({error}); start it with: podling up"
            ) from error
        answer: dict[str, Any] = json.loads(data or b'{"error": "no answer"}')
        if "error" in answer:
            raise ForkServerError(answer["error"])
        return answer, descriptors
