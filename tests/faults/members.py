"""Members of the store as processes: started, killed, paused, and read afterwards."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from tests.ports import free_ports

ELECTION_TIMEOUT_MS = 300
HEARTBEAT_MS = 50

PODLING_STORE = (str(Path(sys.executable).with_name("podling")), "store")

ENDS_WITH_PARENT = (
    ("setpriv", "--pdeathsig", "KILL", "--") if shutil.which("setpriv") is not None else ()
)
"""So that nothing is left even if the tests themselves are killed."""


@dataclass(frozen=True)
class Place:
    """Where a member listens, and what its command is run by."""

    client: str
    peer: str
    """Both `host:port`."""
    prefix: Sequence[str] = ()
    """A command that runs the rest, in a network namespace say."""


def loopback_places(count: int) -> list[Place]:
    ports = free_ports(2 * count)
    return [
        Place(f"127.0.0.1:{client}", f"127.0.0.1:{peer}")
        for client, peer in zip(ports[::2], ports[1::2], strict=True)
    ]


@dataclass
class Member:
    """One member; its process comes and goes, its data stays."""

    name: str
    place: Place
    data: Path
    log: Path
    flags: Mapping[str, str]
    program: Sequence[str]
    process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)
    paused: bool = field(default=False, init=False)

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        assert not self.running, f"{self.name} runs already"
        # The prefix may change the namespace, and has to come before the one that drops nothing.
        command = [
            *self.place.prefix,
            *ENDS_WITH_PARENT,
            *self.program,
            *(part for flag in self.flags.items() for part in flag),
        ]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
            )
        self.paused = False

    def kill(self) -> None:
        """As `kill -9`; returns when it is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.paused = False

    def pause(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        self.paused = True

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)
        self.paused = False

    def stop(self) -> int:
        """As an operator stops it; the exit code."""
        assert self.process is not None
        if self.paused:
            self.resume()
        self.process.terminate()
        return self.process.wait(timeout=60)

    def wait(self, seconds: float) -> int:
        """The exit code of a process that is to end by itself. Raises TimeoutExpired."""
        assert self.process is not None
        return self.process.wait(timeout=seconds)

    def said(self) -> str:
        """Everything in its log."""
        return self.log.read_text() if self.log.exists() else ""


class Members:
    """All members of one store. Use as a context: nothing of them runs afterwards."""

    def __init__(
        self,
        folder: Path,
        places: Sequence[Place],
        *,
        flags: Mapping[str, str] | None = None,
        data: Mapping[str, Path] | None = None,
        program: Sequence[str] = PODLING_STORE,
    ) -> None:
        """`data` puts a member's data directory elsewhere, on a disk of its own say; `program`
        takes etcd's flags."""
        self._folder = folder
        self._flags = flags or {}
        self._data = data or {}
        self._program = program
        self.all = list[Member]()
        names = [f"m{number}" for number in range(1, len(places) + 1)]
        self._cluster = [
            f"{name}=http://{place.peer}" for name, place in zip(names, places, strict=True)
        ]
        for name, place in zip(names, places, strict=True):
            self.all.append(self._make(name, place))

    def join(self, place: Place) -> Member:
        """One more, which the others have been told of; not started yet."""
        name = f"m{len(self.all) + 1}"
        self._cluster.append(f"{name}=http://{place.peer}")
        self.all.append(self._make(name, place, {"--initial-cluster-state": "existing"}))
        return self.all[-1]

    def _make(
        self, name: str, place: Place, flags: Mapping[str, str] = MappingProxyType({})
    ) -> Member:
        data = self._data.get(name, self._folder / name)
        all_flags = {
            "--name": name,
            "--data-dir": str(data),
            "--listen-client-urls": f"http://{place.client}",
            "--advertise-client-urls": f"http://{place.client}",
            "--listen-peer-urls": f"http://{place.peer}",
            "--initial-advertise-peer-urls": f"http://{place.peer}",
            "--initial-cluster": ",".join(self._cluster),
            "--election-timeout": str(ELECTION_TIMEOUT_MS),
            "--heartbeat-interval": str(HEARTBEAT_MS),
            **self._flags,
            **flags,
        }
        log = self._folder / f"{name}.log"
        return Member(name, place, data, log, all_flags, self._program)

    def __enter__(self) -> "Members":
        try:
            for member in self.all:
                member.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for member in self.all:
            with contextlib.suppress(ProcessLookupError):
                member.kill()

    def __iter__(self) -> Iterator[Member]:
        return iter(self.all)

    def __getitem__(self, number: int) -> Member:
        return self.all[number]

    def said(self, lines: int = 15) -> str:
        """The ends of all logs, for a failed test."""
        return "\n".join(
            f"--- {member.name}, {'running' if member.running else 'ended'} ---\n"
            + "\n".join(member.said().splitlines()[-lines:])
            for member in self.all
        )
