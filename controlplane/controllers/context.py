"""What every controller works with."""

from dataclasses import dataclass
from random import Random

from podling.aiokit.backoff import Backoff
from podling.aiokit.clock import WallClock
from podling.kube.client import Client
from podling.kube.event_recorder import EventRecorder
from podling.kube.informer import InformerFactory

FIRST_RETRY = 0.05
"""Seconds before a key that failed is tried again; doubles."""
LAST_RETRY = 30.0


@dataclass(frozen=True, slots=True)
class ControllerContext:
    """Shared by the controllers of one process."""

    client: Client
    informers: InformerFactory
    recorder: EventRecorder
    clock: WallClock
    dice: Random

    def backoff(self) -> Backoff:
        return Backoff(first=FIRST_RETRY, cap=LAST_RETRY, dice=self.dice)
