"""Waits for conditions in blocking code; the only file that sleeps."""

import time
from collections.abc import Callable

from podling.launcher.errors import LauncherError

POLL_SECONDS = 0.01


class WaitedInVain(LauncherError):
    """The condition did not come true in time; the text says which."""


def wait_for(condition: Callable[[], bool], seconds: float, what: Callable[[], str]) -> None:
    """Return as soon as `condition()`; `what` names it if the time runs out."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise WaitedInVain(f"waited {seconds:.0f} s in vain for {what()}")
        time.sleep(POLL_SECONDS)
