"""How often a refused caller is spoken of: it asks several times a second, and for ever. Pure."""

from dataclasses import dataclass

INTERVAL = 60.0
"""Seconds between two lines about the same."""
MAX_CALLERS = 100
"""Of whom is remembered that they were spoken of; strangers cannot make it more."""


@dataclass(slots=True)
class _Told:
    at: float
    unsaid: int = 0
    """Refusals since then."""


class Refusals:
    """Says which refusals are to be told of: the first of a kind, and one in each `INTERVAL`."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], _Told] = {}
        """By caller and reason, the longest told first."""

    def line(self, peer: str, reason: str, now: float) -> str | None:
        """What to say of a refusal; None: nothing now.

        `peer` is as gRPC has it, `ipv4:HOST:PORT`; each attempt may come from another port.
        """
        kind = (peer.rpartition(":")[0], reason)
        told = self._told.get(kind)
        if told is not None and now - told.at < INTERVAL:
            told.unsaid += 1
            return None
        self._told.pop(kind, None)
        self._told[kind] = _Told(now)
        if len(self._told) > MAX_CALLERS:
            del self._told[next(iter(self._told))]
        if told is None or not told.unsaid:
            return f"call from {peer} refused: {reason}"
        return f"call from {peer} refused, as {told.unsaid} before since the last time: {reason}"
