"""Locks prove who lives, whatever way a process ended."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from podling.launcher.forking import process_lock

HOLD = """
import sys, pathlib
from podling.launcher.forking import process_lock
process_lock.hold(pathlib.Path(sys.argv[1]), listener=7)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "replica-1.lock"


def test_nobody_holds_a_lock_that_was_never_taken(lock: Path) -> None:
    assert process_lock.holder(lock) is None


def test_a_killed_process_holds_nothing(lock: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert process_lock.holder(lock) == process_lock.Holder(process.pid, 7)
        with pytest.raises(process_lock.AlreadyRunning, match="replica-1 runs already"):
            process_lock.hold(lock)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert process_lock.holder(lock) is None
    os.close(process_lock.hold(lock))


def test_those_who_look_keep_nobody_from_taking_it_and_never_see_who_had_it_before(
    lock: Path,
) -> None:
    done = threading.Event()
    seen: list[process_lock.Holder | None] = []

    def look() -> None:
        while not done.is_set():
            seen.append(process_lock.holder(lock))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for _ in range(300):
            lock.write_text('{"pid": 1, "listener": null}')
            os.close(process_lock.hold(lock))
            # Who began to look while it was held may read what is written afterwards.
            looks = len(seen)
            while len(seen) == looks and looking.is_alive():
                done.wait(0)
    finally:
        done.set()
        looking.join()
    assert set(seen) <= {None, process_lock.Holder(os.getpid(), None)}
