"""A network of its own for each member, whose links can be cut. Needs root and iproute2.

A bridge connects a namespace per member. A cut between two members is made of wrong link-layer
addresses: what one sends goes to nobody, silently, as on a broken wire, and each direction can be
cut alone. The clients stand where the bridge is and reach every member, but not one whose plug
`isolate` has pulled.
"""

import contextlib
import functools
import itertools
import os
import string
import subprocess
from collections.abc import Iterator

from tests.faults.members import Place

CLIENT_PORT, PEER_PORT = 2379, 2380
NOBODY = "02:00:00:00:00:01"
"""A link-layer address that no interface has."""

_LETTERS = itertools.cycle(string.ascii_lowercase)
"""The kernel takes its time to delete; the next networks have other names."""


class NetworkError(Exception):
    """What `ip` refused, and why."""


def _ip(*words: str) -> str:
    done = subprocess.run(("ip", *words), capture_output=True, text=True, timeout=10)
    if done.returncode:
        raise NetworkError(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


class Networks:
    """Namespaces by number from 0. Use as a context: everything made is deleted by name."""

    def __init__(self, count: int) -> None:
        self._tag = f"pd{os.getpid() % 10**6}{next(_LETTERS)}"
        # 10.0.0.0/8 has room; the process id keeps two runs at once apart.
        self._subnet = f"10.{200 + os.getpid() % 50}.{os.getpid() // 50 % 250}"
        self._count = count
        self._stack = contextlib.ExitStack()

    @property
    def places(self) -> list[Place]:
        return [
            Place(
                f"{self._address(number)}:{CLIENT_PORT}",
                f"{self._address(number)}:{PEER_PORT}",
                ("ip", "netns", "exec", self._namespace(number)),
            )
            for number in range(self._count)
        ]

    def __enter__(self) -> "Networks":
        try:
            bridge = f"{self._tag}b"
            _ip("link", "add", bridge, "type", "bridge")
            self._stack.callback(_ip, "link", "del", bridge)
            _ip("addr", "add", f"{self._subnet}.1/24", "dev", bridge)
            _ip("link", "set", bridge, "up")
            for number in range(self._count):
                self._connect(number, bridge)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _connect(self, number: int, bridge: str) -> None:
        namespace, outside = self._namespace(number), self._outside(number)
        _ip("netns", "add", namespace)
        self._stack.callback(_ip, "netns", "del", namespace)
        _ip("link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", namespace)
        self._stack.callback(_ip, "link", "del", outside)
        _ip("link", "set", outside, "master", bridge, "up")
        _ip("-n", namespace, "addr", "add", f"{self._address(number)}/24", "dev", "eth0")
        _ip("-n", namespace, "link", "set", "lo", "up")
        _ip("-n", namespace, "link", "set", "eth0", "up")

    def cut_one_way(self, sender: int, receiver: int) -> None:
        """What `sender` says to `receiver` is lost; the other direction stays."""
        _ip(
            *("-n", self._namespace(sender), "neigh", "replace", self._address(receiver)),
            *("lladdr", NOBODY, "nud", "permanent", "dev", "eth0"),
        )

    def cut(self, *sides: list[int]) -> None:
        """Members of different sides hear nothing of each other; clients hear all."""
        for one, other in itertools.permutations(sides, 2):
            for sender, receiver in itertools.product(one, other):
                self.cut_one_way(sender, receiver)

    def isolate(self, number: int) -> None:
        """Pull the plug: neither members nor clients reach this one."""
        _ip("link", "set", self._outside(number), "down")

    def heal(self) -> None:
        """As in the beginning."""
        for number in range(self._count):
            _ip("link", "set", self._outside(number), "up")
            _ip("-n", self._namespace(number), "neigh", "flush", "all")
            for other in self._others(number):
                with contextlib.suppress(NetworkError):
                    _ip(
                        *("-n", self._namespace(number), "neigh", "del", self._address(other)),
                        *("dev", "eth0"),
                    )

    def _others(self, number: int) -> Iterator[int]:
        return (other for other in range(self._count) if other != number)

    def _namespace(self, number: int) -> str:
        return f"{self._tag}n{number}"

    def _outside(self, number: int) -> str:
        return f"{self._tag}v{number}"

    def _address(self, number: int) -> str:
        return f"{self._subnet}.{number + 2}"


@functools.cache
def why_not() -> str:
    """Why there can be no networks here; empty if there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    try:
        with Networks(1):
            return ""
    except FileNotFoundError:
        return "there is no `ip` (iproute2)"
    except NetworkError as error:
        return f"no networks can be made here: {error}"
