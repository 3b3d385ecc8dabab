"""Questions to an HTTPS server of the same process's."""

import http.server
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from podling.aiokit.clock import system_wall_clock
from podling.launcher.api_probe import Asking, ProbeError
from podling.launcher.certificates import Authority, Subject

SECONDS = 30.0


class Server(http.server.ThreadingHTTPServer):
    """Notes who connects."""

    connections = 0

    def process_request(self, request: object, client_address: object) -> None:
        self.connections += 1
        super().process_request(request, client_address)  # type: ignore[arg-type]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.close_connection = self.path == "/last"
        body = b'{"message": "not yet"}' if self.path == "/not-yet" else b"ok"
        self.send_response(503 if self.path == "/not-yet" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing on standard error."""


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    """What clients trust; the server's certificate lies beside it."""
    authority = Authority.create("test", system_wall_clock)
    authority.save(tmp_path / "ca.crt", tmp_path / "ca.key")
    subject = Subject("server", addresses=["127.0.0.1"])
    authority.issue(subject, tmp_path / "server.crt", tmp_path / "server.key")
    return ssl.create_default_context(cafile=tmp_path / "ca.crt")


@pytest.fixture
def server(tls: ssl.SSLContext, tmp_path: Path) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    with Server(("127.0.0.1", 0), Handler) as running:
        running.socket = context.wrap_socket(running.socket, server_side=True)
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_several_questions_go_over_one_connection(server: Server, tls: ssl.SSLContext) -> None:
    with Asking(tls, SECONDS) as ask:
        for _ in range(3):
            assert ask.get("127.0.0.1", server.server_port, "/readyz") == b"ok"
            with pytest.raises(ProbeError, match="answers 503: not yet"):
                ask.get("127.0.0.1", server.server_port, "/not-yet")
    assert server.connections == 1


def test_a_connection_that_was_lost_is_opened_anew(server: Server, tls: ssl.SSLContext) -> None:
    with Asking(tls, SECONDS) as ask:
        ask.get("127.0.0.1", server.server_port, "/last")
        with pytest.raises(ProbeError, match="does not answer"):
            ask.get("127.0.0.1", server.server_port, "/readyz")
        assert ask.get("127.0.0.1", server.server_port, "/readyz") == b"ok"
    assert server.connections == 2
