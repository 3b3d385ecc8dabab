"""Members of `podling store` as real processes, and the real etcdctl to ask them."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from podling.launcher.waiting import wait_for
from tests.ports import free_ports

PODLING = Path(sys.executable).with_name("podling")
ETCDCTL = shutil.which("etcdctl")
START_SECONDS = 60.0
STOP_SECONDS = 40.0
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("ETCD")}
STEADY = ("--heartbeat-interval=100", "--election-timeout=30000")
"""Flags of members whose leader stays, however busy the machine; the first is found at once."""
FAILOVER = ("--heartbeat-interval=100", "--election-timeout=1000")
"""Flags of members that soon have another leader when theirs is gone, or late."""


class StoreMember:
    """One member: what it is told, and its process while there is one."""

    def __init__(
        self, name: str, folder: Path, scheme: str = "http", timing: Sequence[str] = STEADY
    ) -> None:
        client, peer = free_ports(2)
        self._timing = timing
        self.name = name
        self.data_dir = folder / name
        self.log = folder / f"{name}.log"
        self.client_port = client
        self.client_url = f"{scheme}://127.0.0.1:{client}"
        self.peer_url = f"{scheme}://127.0.0.1:{peer}"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.client_port}"

    def command(self, members: Sequence["StoreMember"], *flags: str) -> list[str]:
        return [
            str(PODLING),
            "store",
            f"--name={self.name}",
            f"--data-dir={self.data_dir}",
            f"--listen-client-urls={self.client_url}",
            f"--advertise-client-urls={self.client_url}",
            f"--listen-peer-urls={self.peer_url}",
            f"--initial-advertise-peer-urls={self.peer_url}",
            "--initial-cluster=" + ",".join(f"{each.name}={each.peer_url}" for each in members),
            *self._timing,
            *flags,
        ]

    def start(self, members: Sequence["StoreMember"], *flags: str) -> None:
        """Start the process; `answers` says when it is there."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(members, *flags), stdout=log, stderr=log, env=ENVIRONMENT
            )

    def answers(self) -> bool:
        """Whether it takes connections of clients. Fails if the process has ended."""
        assert self.process is not None and self.process.poll() is None, self.said()
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.client_port)),
        ):
            return True
        return False

    def await_answer(self) -> None:
        wait_for(self.answers, START_SECONDS, lambda: f"{self.name} to answer:\n{self.said()}")

    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def end(self, number: int) -> int:
        """Send a signal, and wait for the process to end; returns its exit code."""
        process, self.process = self.process, None
        assert process is not None
        process.send_signal(number)
        try:
            return process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"{self.name} did not end:\n{self.said()}") from None

    def kill(self) -> None:
        self.end(signal.SIGKILL)

    def terminate(self) -> int:
        return self.end(signal.SIGTERM)

    def ended(self) -> int:
        """Wait for the process to end by itself; returns its exit code."""
        assert self.process is not None
        process, self.process = self.process, None
        try:
            return process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"{self.name} goes on:\n{self.said()}") from None


class StoreCluster:
    """Some members, and a client. A context manager: no process is left behind."""

    def __init__(
        self, folder: Path, count: int = 1, scheme: str = "http", timing: Sequence[str] = STEADY
    ) -> None:
        self._folder = folder
        self._scheme = scheme
        self._timing = timing
        self.members: list[StoreMember] = []
        for number in range(1, count + 1):
            self.new_member(f"m{number}")
        self.flags: tuple[str, ...] = ()
        """For every member that is started from now on."""
        self.client_flags: tuple[str, ...] = ()
        """For every etcdctl."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for member in self.members:
            if member.process is not None:
                member.kill()

    def start(self) -> Self:
        """Start those that do not run, and wait until they serve."""
        starting = [member for member in self.members if member.process is None]
        for member in starting:
            member.start(self.members, *self.flags)
        for member in starting:
            member.await_answer()
        self.etcdctl("get", "served")
        return self

    def new_member(self, name: str) -> StoreMember:
        """One more, which the others know nothing of yet."""
        member = StoreMember(name, self._folder, self._scheme, self._timing)
        self.members.append(member)
        return member

    def etcdctl(
        self,
        *words: str,
        at: StoreMember | None = None,
        urls: Sequence[str] = (),
        fails: bool = False,
    ) -> str:
        """Output of etcdctl, asking all that run, or those named; what it complains of, if it is to
        fail."""
        asked = [at] if at else [member for member in self.members if member.process]
        done = subprocess.run(
            [
                str(ETCDCTL),
                "--endpoints=" + ",".join(urls or [member.client_url for member in asked]),
                "--command-timeout=60s",
                *self.client_flags,
                *words,
            ],
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
            env=ENVIRONMENT | {"ETCDCTL_API": "3"},
        )
        told = f"etcdctl {words}: {done.stdout}{done.stderr}"
        assert bool(done.returncode) == fails, told
        return done.stderr if fails else done.stdout

    def eventually(self, *words: str, at: StoreMember | None = None) -> str:
        """Output of an etcdctl that may be run again: it is, until it succeeds, as a leader may be
        missing or change at any moment."""
        told: list[str] = []

        def succeeds() -> bool:
            try:
                told.append(self.etcdctl(*words, at=at))
            except AssertionError as error:
                told.append(str(error))
                return False
            return True

        wait_for(succeeds, START_SECONDS, lambda: f"etcdctl {words}: {told[-1]}")
        return told[-1]

    def follower(self) -> StoreMember:
        """The last that does not lead."""
        leader = self.leader()
        return [member for member in self.members if member is not leader][-1]

    def leader(self) -> StoreMember:
        """Who leads, as the members say."""
        for member in self.members:
            if member.process is not None:
                fields = self.etcdctl("endpoint", "status", at=member).split(", ")
                if fields[4] == "true":
                    return member
        raise AssertionError("nobody leads")
