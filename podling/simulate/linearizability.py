"""Whether what clients saw can be explained by one order of their operations.

A history is linearizable (Herlihy and Wing, 1990) if its operations can be put in one order, each
after those that had returned before it was invoked, in which a sequential `Model` answers what the
clients were answered. `check` searches for that order as Wing and Gong (1993) do, and remembers
with Lowe (2017) which pairs of operations done and state led nowhere. Operations that a model puts
into different partitions cannot influence each other and are searched on their own (Horn and
Kroening, 2015).

The search is exponential in the worst case, above all in the number of unknown outcomes; for
histories whose responses tell the store's revision, `revision_order` needs no search.
"""

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from podling.simulate.histories import Operation, Outcome

ATTEMPT_STATES = 10_000
"""Bound on the work for one attempt at a shorter explanation."""
EXPLANATION_STATES = 50_000
"""Bound on the work for all of them: about a second."""
ORDER_SHOWN = 5
"""How much of the end of the longest order is told."""
OPERATIONS_SHOWN = 30
"""Lines of a verdict at most."""


class Model(Protocol):
    """A sequential object: what one client alone would see."""

    def initial(self) -> Hashable: ...

    def partition(self, request: Any) -> Hashable:
        """Requests of different partitions must neither change nor read the same part of the
        state. A constant, if there are no parts."""
        ...

    def apply(self, state: Any, request: Any) -> tuple[Hashable, Any]:
        """The state after, and the response. Deterministic; `state` stays as it is."""
        ...

    def agrees(self, expected: Any, observed: Any) -> bool:
        """Whether a client that saw `observed` can have been answered `expected`."""
        ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a checker found. True if the history is all right."""

    linearizable: bool
    reason: str = ""
    """In words, why not."""
    operations: tuple[Operation, ...] = ()
    """The fewest found whose responses cannot go together; they are lines of `str`."""

    def __bool__(self) -> bool:
        return self.linearizable

    def __str__(self) -> str:
        if self.linearizable:
            return "linearizable"
        lines = [f"not linearizable: {self.reason}"]
        lines += [f"  {operation}" for operation in self.operations[-OPERATIONS_SHOWN:]]
        if len(self.operations) > OPERATIONS_SHOWN:
            lines.insert(1, f"  the last {OPERATIONS_SHOWN} of {len(self.operations)}:")
        return "\n".join(lines)


class _Search(NamedTuple):
    """How a search ended."""

    found: bool | None
    """None if it was given up."""
    longest: tuple[int, ...]
    """The order that explains the most responses, by number; all if found."""
    state: Any
    """The state after it."""
    states: int
    """How many were looked at."""


class _Step(NamedTuple):
    """One way to explain some of the operations."""

    done: int
    """A bit for each operation in the order."""
    state: Any
    number: int
    """The last in the order."""
    before: "_Step | None"
    explained: int
    """How many of the order have a known response."""

    def order(self) -> tuple[int, ...]:
        numbers = list[int]()
        step: _Step | None = self
        while step is not None and step.before is not None:
            numbers.append(step.number)
            step = step.before
        return tuple(reversed(numbers))


class _Seen:
    """What the search need not look at again.

    Of two orders with the same state and the same known operations, the one that needed fewer of
    those of unknown outcome can be continued wherever the other can.
    """

    def __init__(self, known: int) -> None:
        self._known = known
        self._unknown: dict[tuple[int, Hashable], list[int]] = {}
        self.size = 0

    def add(self, done: int, state: Hashable) -> bool:
        """False if this, or better, was seen before."""
        masks = self._unknown.setdefault((done & self._known, state), [])
        unknown = done & ~self._known
        if any(mask & unknown == mask for mask in masks):
            return False
        masks.append(unknown)
        self.size += 1
        return True


def check(history: Sequence[Operation], model: Model, *, explain: bool = True) -> Verdict:
    """Judge a history. Failed operations are left out; unknown ones happen once or never.

    To `explain` a refusal takes more searches, up to a bound.
    """
    partitions: dict[Hashable, list[Operation]] = {}
    for operation in _in_order(history):
        if operation.outcome is not Outcome.FAILED:
            key = model.partition(operation.request)
            partitions.setdefault(key, []).append(operation)
    for operations in partitions.values():
        if not _search(operations, model).found:
            return _explain(operations, model) if explain else Verdict(False)
    return Verdict(True)


def _in_order(operations: Iterable[Operation]) -> list[Operation]:
    """As the search wants them: known ones first, then by invocation."""
    return sorted(operations, key=lambda each: (each.outcome is not Outcome.OK, each.invoked))


def _search(operations: Sequence[Operation], model: Model, limit: float = math.inf) -> _Search:
    """Depth first over what may come next. `operations` are in the order of `_in_order`."""
    count = sum(each.outcome is Outcome.OK for each in operations)
    known = (1 << count) - 1
    best = step = _Step(0, model.initial(), -1, None, 0)
    seen = _Seen(known)
    stack = [step]
    while stack:
        step = stack.pop()
        if step.explained > best.explained:
            best = step
        if step.done & known == known:
            return _Search(True, step.order(), step.state, seen.size)
        if seen.size > limit:
            return _Search(None, best.order(), best.state, seen.size)
        # All that follow are noted before the first is followed, so that detours over operations
        # of unknown outcome are seen to be detours.
        following = list[_Step]()
        for number in _candidates(operations, count, step.done):
            operation = operations[number]
            state, response = model.apply(step.state, operation.request)
            if operation.outcome is Outcome.OK and not model.agrees(response, operation.response):
                continue
            done = step.done | 1 << number
            if seen.add(done, state):
                explained = step.explained + (operation.outcome is Outcome.OK)
                following.append(_Step(done, state, number, step, explained))
        stack += reversed(following)
    return _Search(False, best.order(), best.state, seen.size)


def _candidates(operations: Sequence[Operation], known: int, done: int) -> list[int]:
    """What can come next: everything invoked before the first of the rest returned.

    `operations` are `known` ones, then those of unknown outcome, each in the order of invocation.
    Those that returned first are tried first, unknown outcomes last: a guess that is often right.
    """
    number = (~done & (done + 1)).bit_length() - 1  # the first that is not done
    deadline, found = math.inf, list[int]()
    while number < known and operations[number].invoked <= deadline:
        if not done >> number & 1:
            deadline = min(deadline, operations[number].returned)
            found.append(number)
        number += 1
    found.sort(key=lambda each: operations[each].returned)
    for number in range(known, len(operations)):
        if operations[number].invoked > deadline:
            break
        if not done >> number & 1:
            found.append(number)
    return found


def _explain(operations: Sequence[Operation], model: Model) -> Verdict:
    """Say of a history without an order which few of its responses cannot go together."""

    left = EXPLANATION_STATES

    def refuses(candidate: Sequence[Operation]) -> bool:
        nonlocal left
        if left <= 0:
            return False
        result = _search(candidate, model, ATTEMPT_STATES)
        left -= result.states
        return result.found is False

    operations = _weaken(_cut(operations, refuses), refuses)
    few = tuple(each for each in operations if each.outcome is Outcome.OK)
    result = _search(operations, model)
    explained = [operations[number] for number in result.longest]
    order = ", then ".join(f"{each.client}: {each.request}" for each in explained[-ORDER_SHOWN:])
    if len(explained) > ORDER_SHOWN:
        order = f"{len(explained) - ORDER_SHOWN} others, then {order}"
    contradicted = "; ".join(
        f"{each.client} would be answered {model.apply(result.state, each.request)[1]}"
        for each in few
        if each not in explained
    )
    what = "this operation" if len(few) == 1 else f"these {len(few)} operations together"
    reason = f"no order explains {what}; after {order or 'nothing'}: {contradicted}"
    return Verdict(False, reason, few)


def _cut(
    operations: Sequence[Operation], refuses: Callable[[Sequence[Operation]], bool]
) -> Sequence[Operation]:
    """Up to the first response that cannot be explained: what came later is left out, what was
    under way then is of unknown outcome. No prefix of a linearizable history is refused."""
    moments = sorted(each.returned for each in operations if each.outcome is Outcome.OK)

    def until(moment: float) -> list[Operation]:
        return _in_order(
            each if each.returned <= moment else each.weakened()
            for each in operations
            if each.invoked <= moment
        )

    low, high = 0, len(moments) - 1
    while low < high:
        middle = (low + high) // 2
        if refuses(until(moments[middle])):
            high = middle
        else:
            low = middle + 1
    shorter = until(moments[low])
    return shorter if refuses(shorter) else operations


def _weaken(
    operations: Sequence[Operation], refuses: Callable[[Sequence[Operation]], bool]
) -> Sequence[Operation]:
    """Forget the responses that are not needed for the refusal, in ever smaller pieces.

    To forget a response makes a history easier to explain, never harder: what is still refused
    with all others forgotten is to blame.
    """
    size = len(operations) // 2 or 1
    while size:
        for start in range(0, len(operations), size):
            middle, end = operations[start : start + size], start + size
            if all(each.outcome is Outcome.UNKNOWN for each in middle):
                continue
            weaker = [*operations[:start], *(o.weakened() for o in middle), *operations[end:]]
            if refuses(_in_order(weaker)):
                operations = weaker
        size //= 2
    return _in_order(operations)


# The simplest model: keys that are read, written and compared and set.


class Read(NamedTuple):
    key: Hashable


class Write(NamedTuple):
    key: Hashable
    value: Hashable


class CompareAndSet(NamedTuple):
    """Answered with whether the key had the value expected, and has the new one now."""

    key: Hashable
    expected: Hashable
    value: Hashable


class Registers:
    """A `Model` of registers by key, each on its own."""

    def __init__(self, first: Hashable = None) -> None:
        self._first = first

    def initial(self) -> Hashable:
        return self._first

    def partition(self, request: Read | Write | CompareAndSet) -> Hashable:
        return request.key

    def apply(
        self, state: Hashable, request: Read | Write | CompareAndSet
    ) -> tuple[Hashable, Hashable]:
        if isinstance(request, Read):
            return state, state
        if isinstance(request, Write):
            return request.value, None
        if state == request.expected:
            return request.value, True
        return state, False

    def agrees(self, expected: Hashable, observed: Hashable) -> bool:
        return expected == observed
