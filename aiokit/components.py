"""A process is a list of components, started in order and stopped in reverse.

SIGTERM and SIGINT mean: stop in order, by a deadline. Each component's `stop` first makes itself
unready, then hands over what it leads, ends its streams cleanly and finishes requests in flight.
"""

import asyncio
import logging
import signal
from collections.abc import Sequence
from typing import Protocol

log = logging.getLogger(__name__)

STOP_DEADLINE = 10.0
"""Seconds that one component may take to stop before it is abandoned."""


class Component(Protocol):
    """One part of a process."""

    @property
    def name(self) -> str:
        """What logs call it, such as `store` or `apiserver`."""

    async def start(self) -> None:
        """Return when it serves; raise if it never will."""

    async def stop(self) -> None:
        """Give everything back: tasks, sockets, files. Called once, also after a failed start."""


class Stop:
    """Asks the process to end, and remembers why: a signal, or the death of something vital."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self.failure: BaseException | None = None

    def ask(self) -> None:
        """End in good order, with exit code 0."""
        self._asked.set()

    def fail(self, name: str, error: BaseException) -> None:
        """End because `name` died; fits `TaskSet(on_death=...)`. Only the first cause is kept."""
        if self.failure is None:
            log.error("stopping because %s died", name)
            self.failure = error
        self._asked.set()

    async def asked(self) -> None:
        await self._asked.wait()


async def run(
    components: Sequence[Component], stop: Stop, expected: tuple[type[Exception], ...] = ()
) -> int:
    """Run `components` until a signal or `stop`; return the process's exit code (0 or 1).

    An OSError at the start, or one of `expected`, is for whoever runs the process, who is told in a
    line; any other is a defect, and is logged with its traceback.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.ask)
    started: list[Component] = []
    try:
        for component in components:
            started.append(component)
            await component.start()
        log.info("started: %s", ", ".join(component.name for component in started))
        await stop.asked()
        log.info("stopping")
    except Exception as error:
        told = isinstance(error, (OSError, *expected)) and str(error)
        log.error("%s did not start: %s", started[-1].name, error, exc_info=None if told else error)
        stop.failure = error
    finally:
        await _stop_all(started)
    return 0 if stop.failure is None else 1


async def _stop_all(started: Sequence[Component]) -> None:
    for component in reversed(started):
        try:
            async with asyncio.timeout(STOP_DEADLINE):
                await component.stop()
        except TimeoutError:
            log.error("%s did not stop within %.0f s", component.name, STOP_DEADLINE)
        except Exception as error:
            log.error("%s did not stop cleanly: %s", component.name, error, exc_info=error)
