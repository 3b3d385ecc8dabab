"""What the launcher of a cluster waits for, where that cannot be had of a whole cluster."""

import os
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from podling.aiokit.clock import system_wall_clock
from podling.launcher import addresses
from podling.launcher.forking import fork_client, process_lock
from podling.launcher.layout import Layout
from podling.launcher.local_cluster import LocalCluster


@contextmanager
def fork_server(layout: Layout, mute: int) -> Iterator[None]:
    """One that has no answer to its first `mute` callers, as if it were too busy, and then does."""

    def serve(server: socket.socket) -> None:
        for number in range(mute + 2):
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                if number >= mute:
                    connection.sendall(b"{}\n")

    lock = process_lock.hold(layout.lock(fork_client.NAME))
    with socket.socket(socket.AF_UNIX) as server:
        with layout.reach(fork_client.NAME) as path:
            server.bind(path)
        server.listen()
        serving = threading.Thread(target=serve, args=(server,), daemon=True)
        serving.start()
        yield
        serving.join()
    os.close(lock)


def test_a_fork_server_that_is_slow_to_answer_is_used_all_the_same(tmp_path: Path) -> None:
    layout = Layout.at(tmp_path)
    layout.create()
    dice = random.Random(1)
    design, listener = addresses.design(1, 0, "local", dice, lambda: dice.getrandbits(64))
    cluster = LocalCluster(layout, system_wall_clock, dice, lambda text: None)
    with listener, fork_server(layout, mute=3):
        cluster._start_fork_server(design, listener, None)
    assert cluster._fork_server is None, "no other was started"
