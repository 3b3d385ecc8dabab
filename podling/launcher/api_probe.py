"""Short, blocking questions to the cluster's own HTTPS endpoints, for the command line.

The standard library's client, because it imports in milliseconds and the questions are few.
"""

import http.client
import json
import ssl
from dataclasses import dataclass
from typing import Any, Self

from podling.launcher import credentials
from podling.launcher.layout import Layout

ERROR_TEXT_MAX = 500


class ProbeError(Exception):
    """No answer, or not the one that was hoped for."""


@dataclass(frozen=True, slots=True)
class ApiProbe:
    """Asks as the cluster's administrator."""

    tls: ssl.SSLContext

    @classmethod
    def of(cls, layout: Layout) -> "ApiProbe":
        tls = ssl.create_default_context(cafile=layout.certificate("ca"))
        tls.load_cert_chain(layout.certificate(credentials.ADMIN), layout.key(credentials.ADMIN))
        return cls(tls)

    def get(self, address: str, port: int, path: str, timeout: float) -> bytes:
        """The body of a 200 answer; raises ProbeError."""
        with self.asking(timeout) as ask:
            return ask.get(address, port, path)

    def asking(self, timeout: float) -> "Asking":
        """For several questions, each to be answered in `timeout` seconds."""
        return Asking(self.tls, timeout)

    def get_json(self, address: str, port: int, path: str, timeout: float) -> Any:
        return json.loads(self.get(address, port, path, timeout))


class Asking:
    """Asks the same servers again and again, over connections that it keeps.

    A TLS handshake costs either side a millisecond of CPU; of that, a cluster that is starting and
    is asked every few milliseconds whether it has started has none to spare.
    """

    def __init__(self, tls: ssl.SSLContext, timeout: float) -> None:
        self._tls = tls
        self._timeout = timeout
        self._connections: dict[tuple[str, int], http.client.HTTPSConnection] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for connection in self._connections.values():
            connection.close()

    def get(self, address: str, port: int, path: str) -> bytes:
        """The body of a 200 answer; raises ProbeError."""
        connection = self._connections.get((address, port))
        if connection is None:
            connection = http.client.HTTPSConnection(
                address, port, timeout=self._timeout, context=self._tls
            )
            self._connections[address, port] = connection
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()  # the next question opens it anew
            raise ProbeError(f"{address}:{port} does not answer: {error}") from error
        if response.status != http.HTTPStatus.OK:
            raise ProbeError(f"{address}:{port}{path} answers {response.status}: {_told(body)}")
        return body

    def get_json(self, address: str, port: int, path: str) -> Any:
        return json.loads(self.get(address, port, path))


def _told(body: bytes) -> str:
    """What an answer says to people: the message of a Status, or the text as it is."""
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body[:ERROR_TEXT_MAX].decode(errors="replace")
