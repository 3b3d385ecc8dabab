"""The fork server, as a real process: forks, reaps, lends listeners, shares the API's."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from podling.launcher.forking import process_lock
from podling.launcher.forking.fork_client import ForkClient, ForkServerError
from podling.launcher.layout import Layout
from podling.launcher.waiting import wait_for

OWN = "127.1.0.3"
"""An address whose ports no outgoing connection takes, as it might those of 127.0.0.1."""

PROGRAM = """
import os, signal, socket, sys, pathlib
from podling.launcher.forking.fork_server import ForkServer
from podling.launcher.layout import Layout

layout = Layout.at(pathlib.Path(sys.argv[1]))
listener = socket.socket(fileno=int(sys.argv[2]))

def main(name):
    if name == "crashing":
        raise RuntimeError("on purpose")
    listener.setblocking(True)
    while True:
        connection, _ = listener.accept()
        connection.sendall(f"{name} {os.getpid()}".encode())
        connection.close()

os.chdir(layout.root)
ForkServer(layout, listener, main, lambda name, status: print(name, status, flush=True)).serve()
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout.at(tmp_path)
    layout.create()
    return layout


@pytest.fixture
def address(layout: Layout) -> Iterator[tuple[str, int]]:
    """The shared listener's address, with a fork server that serves it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(layout.root), str(listener.fileno())],
            pass_fds=[listener.fileno()],
            stdout=subprocess.PIPE,
        )
        with process:
            client = ForkClient(layout)
            wait_for(client.answers, 40, lambda: "the fork server")
            yield listener.getsockname()
            for path in (layout.root / "run").glob("*.lock"):
                holder = process_lock.holder(path)
                if holder is not None:
                    os.kill(holder.pid, signal.SIGKILL)
            with contextlib.suppress(ForkServerError):
                client.exit()


def ask(address: tuple[str, int]) -> str:
    with socket.create_connection(address, timeout=30) as connection:
        return connection.recv(100).decode()


def test_a_started_process_serves_the_shared_listener(
    layout: Layout, address: tuple[str, int]
) -> None:
    pid = ForkClient(layout).start("replica-1")
    assert ask(address) == f"replica-1 {pid}"


def test_a_killed_process_is_succeeded_without_a_refused_connection(
    layout: Layout, address: tuple[str, int]
) -> None:
    client = ForkClient(layout)
    first = client.start("replica-1")
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: process_lock.holder(layout.lock("replica-1")) is None, 30, lambda: "its end")
    with socket.create_connection(address, timeout=30) as waiting:
        second = client.start("replica-1")
        assert waiting.recv(100).decode() == f"replica-1 {second}"


def test_the_same_process_is_not_started_twice(layout: Layout, address: tuple[str, int]) -> None:
    client = ForkClient(layout)
    client.start("replica-1")
    wait_for(lambda: process_lock.holder(layout.lock("replica-1")) is not None, 30, lambda: "lock")
    with pytest.raises(ForkServerError, match="runs already"):
        client.start("replica-1")


def test_a_crash_is_written_to_the_log_of_that_process(
    layout: Layout, address: tuple[str, int]
) -> None:
    ForkClient(layout).start("crashing")
    log = layout.log("crashing")
    wait_for(lambda: log.exists() and "on purpose" in log.read_text(), 30, lambda: "the log")


def test_whoever_asks_for_a_listener_gets_the_same_one(
    layout: Layout, address: tuple[str, int]
) -> None:
    client = ForkClient(layout)
    with socket.create_server((OWN, 0)) as free:
        port = free.getsockname()[1]
    with client.listen(OWN, port) as one, client.listen(OWN, port) as other:
        one.close()
        with socket.create_connection((OWN, port), timeout=30):
            other.accept()[0].close()
    client.release(OWN, port)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((OWN, port), timeout=30)


def test_nonsense_is_answered_with_an_error(layout: Layout, address: tuple[str, int]) -> None:
    for request in (b"nonsense\n", b'{"op": "dance"}\n', b"[]\n", b"{}\n"):
        with socket.socket(socket.AF_UNIX) as connection, layout.reach("forkserver") as path:
            connection.connect(path)
            connection.sendall(request)
            assert b"error" in connection.recv(1000)
    assert ForkClient(layout).answers()
