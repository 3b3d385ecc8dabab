"""Histories of a correct store, and of stores that are wrong in one way."""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from podling.controlplane.store.key_values import Event
from podling.controlplane.store.requests import (
    NO_END,
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRangeRequest,
    PutRequest,
    RangeRequest,
    TxnRequest,
)
from podling.simulate.histories import Operation, Outcome
from podling.simulate.store_model import Evaluation, Timeline

KEYS = (b"a", b"b", b"c")
EVERYTHING = RangeRequest(b"\0", NO_END)


def some_request(dice: random.Random, number: int) -> Any:
    """`number` makes values unique."""
    key, value = dice.choice(KEYS), b"%d" % number
    newest = dice.randrange(1, 6)
    return dice.choice(
        (
            PutRequest(key, value, prev_kv=dice.random() < 0.5),
            PutRequest(key, value),
            RangeRequest(key),
            RangeRequest(b"a", b"c", count_only=dice.random() < 0.3),
            EVERYTHING,
            DeleteRangeRequest(key, prev_kv=dice.random() < 0.5),
            DeleteRangeRequest(b"a", b"c"),
            TxnRequest(
                (Compare(key, CompareTarget.MOD, CompareResult.LESS, newest),),
                (PutRequest(key, value), PutRequest(dice.choice(KEYS) + b"'", value)),
                (RangeRequest(key),),
            ),
        )
    )


class World:
    """A store that carries out one request after the other, and its clients, who overlap."""

    def __init__(self, dice: random.Random, *, unknown: float = 0.2, overlap: float = 3) -> None:
        """`unknown` is how many outcomes are; `overlap` how many are under way at a time."""
        self._dice = dice
        self._unknown = unknown
        self._overlap = overlap
        self.timeline = Timeline()
        self.operations = list[Operation]()
        self.events = list[Event]()

    def run(self, count: int) -> None:
        for _ in range(count):
            self.do(some_request(self._dice, len(self.operations)))

    def do(self, request: Any, *, lie: Any = None, lost: bool = False, known: bool = False) -> None:
        """Carry out a request; or answer `lie`; or answer and forget that it happened. `known`
        keeps the outcome from being unknown."""
        moment = float(len(self.operations))
        begun = moment - self._overlap * self._dice.random()
        known = known or lie is not None or lost
        unknown = not known and self._dice.random() < self._unknown
        operation = Operation(f"client-{len(self.operations)}", request, begun)
        if not unknown or self._dice.random() < 0.6:
            response = self._carry_out(request, lost)
            if not unknown:
                operation = replace(
                    operation,
                    returned=moment + self._overlap * self._dice.random(),
                    response=response if lie is None else lie,
                    outcome=Outcome.OK,
                )
        self.operations.append(operation)

    def answer(self, request: Any) -> Any:
        """What would be answered now."""
        return Evaluation(self.timeline, request).response

    def _carry_out(self, request: Any, lost: bool) -> Any:
        evaluation = Evaluation(self.timeline, request)
        if evaluation.changes and not lost:
            self.timeline.extend(evaluation.changes)
            self.events += [Event(kv, None, not kv.version) for kv in evaluation.changes.values()]
        return evaluation.response

    def finish(self) -> Sequence[Operation]:
        """Look at everything once more, long after."""
        moment = self.operations[-1].invoked + 100
        last = Operation("last", EVERYTHING, moment, moment + 1, self.answer(EVERYTHING))
        self.operations.append(replace(last, outcome=Outcome.OK))
        return self.operations
