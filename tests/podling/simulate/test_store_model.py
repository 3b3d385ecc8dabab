"""The oracle and the store's machine, written apart, answer alike."""

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from podling.controlplane.store import requests as rq
from podling.controlplane.store.errors import StoreError
from podling.controlplane.store.machine import commands, ranges
from podling.controlplane.store.machine.state_machine import StoreStateMachine
from podling.simulate.store_model import Evaluation, Timeline, comparable

KEYS = (b"a", b"b", b"ba", b"c")
ENDS = (b"", b"", b"b", b"c", rq.NO_END)
LEASES = (0, 0, 7, 8)


class Requests:
    """Draws what a client may ask for."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice

    def draw(self) -> Any:
        return self._dice.choice(
            (self.range, self.put, self.delete, lambda: self.txn(2), self.revoke)
        )()

    def range(self) -> rq.RangeRequest:
        dice = self._dice
        return rq.RangeRequest(
            dice.choice(KEYS),
            dice.choice(ENDS),
            limit=dice.choice((0, 0, 1, 2)),
            revision=dice.choice((0, 0, 0, dice.randrange(1, 12))),
            sort_order=dice.choice(tuple(rq.SortOrder)),
            sort_target=dice.choice((rq.SortTarget.KEY, *rq.SortTarget)),
            keys_only=dice.random() < 0.2,
            count_only=dice.random() < 0.1,
            min_mod_revision=dice.choice((0, 0, 3)),
            max_mod_revision=dice.choice((0, 0, 9)),
            min_create_revision=dice.choice((0, 0, 2)),
            max_create_revision=dice.choice((0, 0, 8)),
        )

    def put(self) -> rq.PutRequest:
        dice = self._dice
        keeps = dice.choice((0, 0, 0, 1, 2))
        return rq.PutRequest(
            dice.choice(KEYS),
            b"" if keeps == 1 else b"%d" % dice.randrange(5),
            lease=0 if keeps == 2 else dice.choice(LEASES),
            prev_kv=dice.random() < 0.5,
            ignore_value=keeps == 1,
            ignore_lease=keeps == 2,
        )

    def delete(self) -> rq.DeleteRangeRequest:
        dice = self._dice
        return rq.DeleteRangeRequest(dice.choice(KEYS), dice.choice(ENDS), dice.random() < 0.5)

    def revoke(self) -> rq.LeaseRevokeRequest:
        return rq.LeaseRevokeRequest(self._dice.choice((7, 8)))

    def txn(self, depth: int) -> rq.TxnRequest:
        return rq.TxnRequest(
            [self.compare() for _ in range(self._dice.randrange(2))],
            self.branch(depth),
            self.branch(depth),
        )

    def branch(self, depth: int) -> list[Any]:
        """No key is written twice, which the store would have refused before."""
        put = self.put()
        draws: list[Any] = [self.range(), put, self.range()]
        if depth:
            draws.append(self.txn(0)._replace(success=[self.range()], failure=[self.range()]))
        return self._dice.sample(draws, self._dice.randrange(len(draws) + 1))

    def compare(self) -> rq.Compare:
        dice = self._dice
        target = dice.choice(tuple(rq.CompareTarget))
        operand: int | bytes = dice.randrange(5)
        if target == rq.CompareTarget.VALUE:
            operand = b"%d" % operand
        key, end = dice.choice(KEYS), dice.choice(ENDS)
        return rq.Compare(key, target, dice.choice(tuple(rq.CompareResult)), operand, end)


@given(st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_both_answer_alike(seed: int) -> None:
    machine = StoreStateMachine(lambda: 0.0, max_pending_bytes=2**20)
    timeline = Timeline()
    requests = Requests(random.Random(seed))
    leases = set[int]()
    for index in range(1, 25):
        # The model knows nothing of leases that do not exist.
        for lease in {7, 8} - leases:
            machine.apply(index, 1, commands.encode(rq.LeaseGrantRequest(60, lease)))
            leases.add(lease)
        request = requests.draw()
        answer: Any
        try:
            if isinstance(request, rq.RangeRequest):
                answer = ranges.execute(machine.store, request)
            else:
                answer = machine.apply(index, 1, commands.encode(request))
        except StoreError as error:
            answer = error
        evaluation = Evaluation(timeline, request)
        if isinstance(answer, StoreError):
            assert evaluation.response is None, (request, answer)
        else:
            assert comparable(evaluation.response) == comparable(answer), request
        if isinstance(request, rq.LeaseRevokeRequest):
            leases.discard(request.id)
        if evaluation.changes:
            timeline.extend(evaluation.changes)
        assert timeline.revision == machine.store.revision, request
