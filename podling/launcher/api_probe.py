"""Short, blocking questions to the cluster's own HTTPS endpoints, for the command line.

The standard library's client, because it imports in milliseconds and the questions are few.
"""

import http.client
import json
import ssl
from dataclasses import dataclass
from typing import Any

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
        connection = http.client.HTTPSConnection(address, port, timeout=timeout, context=self.tls)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise ProbeError(f"{address}:{port} does not answer: {error}") from error
        finally:
            connection.close()
        if response.status != http.HTTPStatus.OK:
            raise ProbeError(f"{address}:{port}{path} answers {response.status}: {_told(body)}")
        return body

    def get_json(self, address: str, port: int, path: str, timeout: float) -> Any:
        return json.loads(self.get(address, port, path, timeout))


def _told(body: bytes) -> str:
    """What an answer says to people: the message of a Status, or the text as it is."""
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body[:ERROR_TEXT_MAX].decode(errors="replace")
