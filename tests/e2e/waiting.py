"""Waits for conditions, and talks HTTP with a connection a request."""

import contextlib
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

from podling.launcher.waiting import wait_for


def eventually(condition: Callable[[], bool], seconds: float, what: Callable[[], str]) -> None:
    """Like `wait_for`, for conditions that may fail with an OSError while they are not true yet."""
    last: OSError | None = None

    def holds() -> bool:
        nonlocal last
        try:
            return condition()
        except OSError as error:
            last = error
            return False

    wait_for(holds, seconds, lambda: f"{what()} (last error: {last!r})")


def fetch(url: str, timeout: float = 30) -> str:
    """The body of a page, by a connection of its own."""
    with urllib.request.urlopen(url, timeout=timeout) as response:
        body: bytes = response.read()
    return body.decode()


class Load:
    """A client that asks again and again, each time by a new connection."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stop = threading.Event()
        self.answered = 0
        self.failures: list[str] = []

    @contextlib.contextmanager
    def running(self, clients: int = 4) -> Iterator["Load"]:
        threads = [threading.Thread(target=self._run) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def reaches(self, answers: int) -> None:
        """Wait until so many requests in all have been answered."""
        wait_for(
            lambda: self.answered >= answers, 60, lambda: f"{answers} answers: {self.failures}"
        )

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                fetch(self._url)
                self.answered += 1
            except (OSError, ValueError) as error:
                self.failures.append(repr(error))
