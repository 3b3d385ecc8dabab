"""What clients saw: operations with the times of their invocation and response.

    recorder = Recorder(clock)
    reader = RecordingClient("reader-1", recorder, execute, classify)
    await reader.do(RangeRequest(b"a"))
    verdict = check(recorder.history(), StoreModel())

Whatever is not known to have ended is of unknown outcome: it may take effect at any time after its
invocation, even long after the client gave up, or never. So a client that is cancelled or killed
in the middle of an operation leaves an honest history. Only who knows that nothing happened, and
never will, may say FAILED.

All times of one history come from one clock. In a simulation that is virtual time, where many
things happen at the same instant: the recorder keeps them apart, in the order in which they were
told.
"""

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any


class Outcome(Enum):
    OK = "ok"
    """The response says what happened."""
    FAILED = "failed"
    """For certain, nothing happened nor will: refused before it could."""
    UNKNOWN = "unknown"
    """Timed out, broken off, or its client is gone."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One request of one client."""

    client: str
    request: Any
    invoked: float
    """Seconds, as `returned`."""
    returned: float = math.inf
    """Infinity while the outcome is unknown."""
    response: Any = None
    outcome: Outcome = Outcome.UNKNOWN
    error: str = ""
    """Why it failed or is unknown."""

    def precedes(self, other: "Operation") -> bool:
        """Whether this one had returned before the other began; if not, either may be first."""
        return self.returned < other.invoked

    def weakened(self) -> "Operation":
        """The same, had its client not waited for the response."""
        return replace(self, returned=math.inf, response=None, outcome=Outcome.UNKNOWN)

    def __str__(self) -> str:
        if self.outcome is Outcome.OK:
            end, result = f"{self.returned:.6f}", f"-> {self.response}"
        else:
            end = "..." if math.isinf(self.returned) else f"{self.returned:.6f}"
            result = f"-> {self.outcome.value}" + (f" ({self.error})" if self.error else "")
        return f"[{self.invoked:.6f} {end}] {self.client}: {self.request} {result}"


class Recorder:
    """Collects the operations of any number of clients of one clock."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` tells seconds, from any origin, and never goes back."""
        self._clock = clock
        self._now = -math.inf
        self._operations: list[Operation] = []

    def invoke(self, client: str, request: Any) -> int:
        """To be called before anything is sent. Returns the number of the operation."""
        self._operations.append(Operation(client, request, self._tick()))
        return len(self._operations) - 1

    def returned(self, number: int, response: Any) -> None:
        """To be called when the response is there."""
        self._operations[number] = replace(
            self._operations[number],
            returned=self._tick(),
            response=response,
            outcome=Outcome.OK,
        )

    def failed(self, number: int, error: str) -> None:
        """It is certain that nothing happened."""
        self._operations[number] = replace(
            self._operations[number],
            returned=self._tick(),
            outcome=Outcome.FAILED,
            error=error,
        )

    def unknown(self, number: int, error: str) -> None:
        """The client gives up; only the reason is noted."""
        self._operations[number] = replace(self._operations[number], error=error)

    def may_happen(self, client: str, request: Any) -> None:
        """From now on, at most once, by itself: the revocation of a lease that was granted."""
        self.invoke(client, request)

    def history(self) -> tuple[Operation, ...]:
        """In the order of invocation. What is under way is of unknown outcome."""
        return tuple(self._operations)

    def _tick(self) -> float:
        self._now = max(self._clock(), math.nextafter(self._now, math.inf))
        return self._now


class RecordingClient:
    """Does what it is told, and records it.

    A client does one operation at a time or many; the checkers go by the times alone.
    """

    def __init__(
        self,
        name: str,
        recorder: Recorder,
        execute: Callable[[Any], Awaitable[Any]],
        classify: Callable[[Exception], Outcome | None],
    ) -> None:
        """`classify` tells FAILED or UNKNOWN of an error of `execute`, None if it is no answer of
        the system at all, but a mistake in the test: such an error is raised."""
        self.name = name
        self._recorder = recorder
        self._execute = execute
        self._classify = classify

    async def do(self, request: Any) -> Any:
        """The response, or None if there was none."""
        number = self._recorder.invoke(self.name, request)
        try:
            response = await self._execute(request)
        except Exception as error:
            outcome = self._classify(error)
            if outcome is None or outcome is Outcome.OK:
                raise
            note = self._recorder.failed if outcome is Outcome.FAILED else self._recorder.unknown
            note(number, str(error) or type(error).__name__)
            return None
        self._recorder.returned(number, response)
        return response
