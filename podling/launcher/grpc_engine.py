"""How the gRPC library of our processes waits for its sockets.

The library's newer "event engine" has a pool of threads that take turns at it, and wake up to look
for work for a while after each event. A message then goes through three of them before the event
loop hears of it. The older way has one thread, which hands what it reads to the event loop; what
that saves is in docs/decisions/0015. The library reads the choice once, when it is imported.
"""

import os
from collections.abc import Mapping, MutableMapping

VARIABLE = "GRPC_EXPERIMENTS"
"""gRPC's doc/environment_variables.md."""
CHOICE = "-event_engine_client,-event_engine_listener"


def choose(variables: MutableMapping[str, str] = os.environ) -> None:
    """For this process, if it has not imported the library yet; what a user has set stays."""
    variables.setdefault(VARIABLE, CHOICE)


def environment() -> Mapping[str, str]:
    """For a process to be started."""
    variables = dict(os.environ)
    choose(variables)
    return variables
