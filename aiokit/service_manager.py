"""Tells the service manager that started this process how it is doing (systemd: sd_notify(3))."""

import logging
import os
import socket

log = logging.getLogger(__name__)

VARIABLE = "NOTIFY_SOCKET"


class ServiceNotice:
    """A component, to be started last: says that the process serves, and when it begins to stop.

    Without a service manager that wants to know, it does nothing.
    """

    name = "service-notice"

    def __init__(self, address: str | None = None) -> None:
        """`address`: a path, or @ and an abstract name; None: as the environment has it."""
        self._address = os.environ.get(VARIABLE, "") if address is None else address

    async def start(self) -> None:
        self._tell("READY=1")

    async def stop(self) -> None:
        self._tell("STOPPING=1")

    def _tell(self, text: str) -> None:
        if not self._address:
            return
        # An abstract name begins with a zero byte, written as @.
        name = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notice:
                notice.connect(name)
                notice.sendall(text.encode())
        except OSError as error:
            log.warning("the service manager at %s could not be told %s: %s", name, text, error)
