"""Linearizability of a store that counts its writes, without a search.

etcd tells in each response the revision of the store, and each write makes the next one. So the
order of all operations is in the history itself, and three things remain to be seen:

* it agrees with real time: no operation is at an older revision than one that had returned before
  it was invoked;
* in this order, each response is that of the `store_model`: transactions, ranges and deletions
  over many keys included;
* each revision was made by exactly one write: one that was acknowledged, or one of unknown outcome
  that fits what was seen of this revision in reads and watches. A revision that nobody can have
  made is a write that happened twice, or that was refused and happened all the same.

That takes near-linear time for any number of operations, as long as what was seen tells writes of
unknown outcome apart: let every put have a value of its own. Where it does not, all that fit are
tried.

The history must hold every operation that can write, the revocation of expired leases included
(`Recorder.may_happen`).
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from podling.controlplane.store.key_values import Event, KeyValue, tombstone
from podling.controlplane.store.requests import (
    DeleteRangeRequest,
    DeleteRangeResponse,
    LeaseRevokeRequest,
    LeaseRevokeResponse,
    PutRequest,
    PutResponse,
    RangeRequest,
    RangeResponse,
    TxnRequest,
    TxnResponse,
    is_read_only,
    is_serializable,
)
from podling.simulate.histories import Operation, Outcome
from podling.simulate.linearizability import Verdict
from podling.simulate.store_model import Evaluation, Timeline, comparable

_JUDGED = (RangeRequest, PutRequest, DeleteRangeRequest, TxnRequest, LeaseRevokeRequest)


def check_revisions(
    history: Sequence[Operation],
    events: Iterable[Event] = (),
    timeline: Timeline | None = None,
) -> Verdict:
    """Judge a history of requests in etcd's terms. Other requests than those on keys and the
    revocation of leases are left out.

    `events` is what watches were told, in any order. `timeline` is the store before the history
    began; afterwards it is the store at the end.
    """
    return RevisionOrder(timeline).judge(history, events)


class RevisionOrder:
    """Judges a long history part by part.

    All that is known to have returned in one part did so before the next part began; what is of
    unknown outcome may still happen in any later part.
    """

    def __init__(self, timeline: Timeline | None = None) -> None:
        self.timeline = Timeline() if timeline is None else timeline
        self._pending = list[Operation]()

    def judge(self, history: Sequence[Operation], events: Iterable[Event] = ()) -> Verdict:
        """Of the next part. After a refusal there is no next one."""
        judged = self._pending + [
            each
            for each in history
            if each.outcome is not Outcome.FAILED and isinstance(each.request, _JUDGED)
        ]
        floors, problem = _check_real_time(judged)
        if problem is not None:
            return problem
        replay = _Replay(judged, events, self.timeline, floors)
        verdict = replay.run()
        self._pending = replay.still_unknown()
        return verdict


def _made_its_revision(response: Any) -> bool:
    """Whether the operation wrote, as far as the response tells."""
    if isinstance(response, TxnResponse):
        return any(_made_its_revision(each) for each in response.responses)
    if isinstance(response, DeleteRangeResponse):
        return response.deleted > 0
    return isinstance(response, PutResponse)


def may_be_stale(request: Any) -> bool:
    if isinstance(request, TxnRequest):
        return is_read_only(request) and is_serializable(request)
    return isinstance(request, RangeRequest) and request.serializable


def _check_real_time(history: Sequence[Operation]) -> tuple[list[int], Verdict | None]:
    """For each operation, the newest revision that was known before it was invoked."""
    floors = [0] * len(history)
    invocations = sorted(range(len(history)), key=lambda number: history[number].invoked)
    returns = iter(
        sorted(
            (each for each in history if each.outcome is Outcome.OK),
            key=lambda each: each.returned,
        )
    )
    newest: Operation | None = None
    ended = next(returns, None)
    for number in invocations:
        operation = history[number]
        while ended is not None and ended.returned < operation.invoked:
            if newest is None or ended.response.revision > newest.response.revision:
                newest = ended
            ended = next(returns, None)
        if newest is None:
            continue
        floor = floors[number] = newest.response.revision
        if operation.outcome is not Outcome.OK or may_be_stale(operation.request):
            continue
        revision = operation.response.revision
        if _made_its_revision(operation.response) and revision <= floor:
            reason = f"the write that made revision {revision} began when {floor} was known"
        elif revision < floor:
            reason = (
                f"a stale answer: it is of revision {revision}, and began when {floor} was known"
            )
        else:
            continue
        return floors, Verdict(False, reason, (newest, operation))
    return floors, None


class _Unknown:
    """The operations of unknown outcome, by what can be seen of them."""

    def __init__(self) -> None:
        self.placed = set[int]()
        """By identity, those that are taken to have happened."""
        self._all = list[tuple[int, Operation]]()
        self._by_put: dict[tuple[bytes, bytes | None], list[tuple[int, Operation]]] = {}

    def add(self, floor: int, operation: Operation) -> None:
        """It happened after revision `floor`, or never."""
        self._all.append((floor, operation))
        for put in _puts(operation.request):
            value = None if put.ignore_value else put.value
            self._by_put.setdefault((put.key, value), []).append((floor, operation))

    def left(self) -> list[Operation]:
        return [each for _, each in self._all if id(each) not in self.placed]

    def candidates(self, revision: int, saw: Iterable[KeyValue]) -> Iterator[Operation]:
        """Those that may have made `revision`, of which the records `saw` are known."""
        found = self._all
        for kv in saw:
            if kv.version:
                found = self._by_put.get((kv.key, kv.value), [])
                found = found + self._by_put.get((kv.key, None), [])
                break
        for floor, operation in found:
            if floor < revision and id(operation) not in self.placed:
                yield operation


class _Replay:
    """One history in the order of its revisions."""

    def __init__(
        self,
        history: Sequence[Operation],
        events: Iterable[Event],
        timeline: Timeline,
        floors: Sequence[int],
    ) -> None:
        self._timeline = timeline
        self._first = timeline.revision
        self._writes: dict[int, list[Operation]] = {}
        self._others: dict[int, list[Operation]] = {}
        self._unknown = _Unknown()
        self._seen: dict[int, dict[KeyValue, Operation | None]] = {}
        """What was seen of each revision, and one who saw it; None is a watch."""
        for floor, operation in zip(floors, history, strict=True):
            if operation.outcome is not Outcome.OK:
                self._unknown.add(floor, operation)
                continue
            wrote = _made_its_revision(operation.response)
            chosen = self._writes if wrote else self._others
            chosen.setdefault(operation.response.revision, []).append(operation)
            for kv in _records(operation.request, operation.response):
                self._seen.setdefault(kv.mod_revision, {}).setdefault(kv, operation)
        for event in events:
            kv = event.kv
            kv = tombstone(kv.key, kv.mod_revision) if event.deleted else kv
            self._seen.setdefault(kv.mod_revision, {}).setdefault(kv, None)
        self._last = max(self._first, *self._writes, *self._others, *self._seen, 0)
        self._chosen = list[Operation]()
        """Who made each revision after the first, as far as tried now."""
        self._deepest = -1
        self._verdict = Verdict(True)

    def run(self) -> Verdict:
        for problem in (self._check_beginning(), self._read_at(self._first)):
            if problem is not None:
                return problem
        if self._first == self._last:
            return Verdict(True)
        stack = [self._options(self._first + 1)]
        while stack:
            revision = self._first + len(stack)
            self._timeline.take_back(revision - 1)
            while len(self._chosen) >= len(stack):
                self._unknown.placed.discard(id(self._chosen.pop()))
            option = next(stack[-1], None)
            if option is None:
                stack.pop()
                continue
            problem = self._make(revision, option)
            if problem is not None:
                self._note(revision, problem)
            elif revision == self._last:
                return Verdict(True)
            else:
                stack.append(self._options(revision + 1))
        return self._verdict

    def still_unknown(self) -> list[Operation]:
        """What has not happened in the order found."""
        return self._unknown.left()

    def _check_beginning(self) -> Verdict | None:
        """Nothing but a read that may be stale is older than the timeline."""
        early = [each for r, made in self._writes.items() if r <= self._first for each in made]
        for revision, answered in self._others.items():
            if revision < self._first:
                early += [each for each in answered if not may_be_stale(each.request)]
        if not early:
            return None
        reason = f"the store was at revision {self._first} before this operation"
        return Verdict(False, reason, tuple(early[:1]))

    def _note(self, revision: int, problem: Verdict) -> None:
        """Of all attempts, the one that came farthest is told."""
        if revision > self._deepest:
            self._deepest, self._verdict = revision, problem

    def _options(self, revision: int) -> Iterator[Operation]:
        """Who can have made `revision`."""
        writes = self._writes.get(revision, [])
        if len(writes) > 1:
            reason = f"{len(writes)} writes say that they made revision {revision}"
            self._note(revision, Verdict(False, reason, tuple(writes)))
            return
        if writes:
            yield writes[0]
            return
        # A response to the revocation of a lease does not tell whether there were any keys.
        for operation in self._others.get(revision, ()):
            if isinstance(operation.response, LeaseRevokeResponse):
                yield operation
        requests = list[Any]()
        saw = self._seen.get(revision, {})
        for operation in self._unknown.candidates(revision, saw):
            # Of equal requests it does not matter which.
            if operation.request not in requests and self._fits(operation, revision):
                requests.append(operation.request)
                yield operation
        reason = (
            f"revision {revision} was made by no write of this history"
            f" (what was seen of it: {', '.join(map(str, saw)) or 'nothing'})"
        )
        observers = [each for each in saw.values() if each is not None][:1]
        observers = observers or self._others.get(revision, [])[:1]
        self._note(revision, Verdict(False, reason, tuple(observers)))

    def _fits(self, operation: Operation, revision: int) -> bool:
        changes = Evaluation(self._timeline, operation.request).changes
        return bool(changes) and set(self._seen.get(revision, ())) <= set(changes.values())

    def _make(self, revision: int, write: Operation) -> Verdict | None:
        """Carry `write` out, and hold what was seen against it."""
        evaluation = Evaluation(self._timeline, write.request)
        if not evaluation.changes:
            reason = f"revision {revision} cannot have been made by a write that changes nothing"
            return self._mismatch(reason, write, evaluation.response)
        if write.outcome is Outcome.OK and comparable(evaluation.response) != comparable(
            write.response
        ):
            return self._mismatch(f"at revision {revision}", write, evaluation.response)
        for kv, observer in self._seen.get(revision, {}).items():
            if evaluation.changes.get(kv.key) != kv:
                who = observer.client if observer is not None else "a watch"
                reason = f"{who} saw of revision {revision} {kv}, which this write did not make"
                observers = () if observer is None else (observer,)
                return Verdict(False, reason, (write, *observers))
        self._timeline.extend(evaluation.changes)
        self._chosen.append(write)
        if write.outcome is not Outcome.OK:
            self._unknown.placed.add(id(write))
        return self._read_at(revision)

    def _read_at(self, revision: int) -> Verdict | None:
        """Hold everything that was answered at `revision` against the store as it was then."""
        maker = self._chosen[-1] if self._chosen else None
        for operation in self._others.get(revision, ()):
            if operation is maker:
                continue
            evaluation = Evaluation(self._timeline, operation.request)
            if evaluation.changes or comparable(evaluation.response) != comparable(
                operation.response
            ):
                return self._mismatch(f"at revision {revision}", operation, evaluation.response)
        return None

    def _mismatch(self, where: str, operation: Operation, expected: Any) -> Verdict:
        """Tell what would have been answered, and who wrote what is missing in the answer."""
        observed = set(_records(operation.request, operation.response))
        missing = [kv for kv in _records(operation.request, expected) if kv not in observed]
        newest = max((kv.mod_revision for kv in missing), default=0)
        made = newest - self._first - 1
        writers = (self._chosen[made],) if 0 <= made < len(self._chosen) else ()
        lost = f", so that revision {newest} is lost or was not seen" if writers else ""
        reason = f"{where}, the answer to {operation.client} would be {expected}{lost}"
        return Verdict(False, reason, (*writers, operation))


def _puts(request: Any) -> Iterator[PutRequest]:
    """Every put that is or may be carried out."""
    if isinstance(request, PutRequest):
        yield request
    elif isinstance(request, TxnRequest):
        for operation in (*request.success, *request.failure):
            yield from _puts(operation)


def _records(request: Any, response: Any) -> Iterator[KeyValue]:
    """Every record in a response, whole."""
    if isinstance(request, RangeRequest) and isinstance(response, RangeResponse):
        if not request.keys_only:
            yield from response.kvs
    elif isinstance(response, PutResponse):
        if response.prev_kv is not None:
            yield response.prev_kv
    elif isinstance(response, DeleteRangeResponse):
        yield from response.prev_kvs
    elif isinstance(request, TxnRequest) and isinstance(response, TxnResponse):
        branch = request.success if response.succeeded else request.failure
        for nested, answer in zip(branch, response.responses, strict=False):
            yield from _records(nested, answer)
