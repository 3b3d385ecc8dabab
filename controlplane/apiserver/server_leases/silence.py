"""Notices keys that nobody renews and that do not die either. Pure.

A server's key dies with its lease. But a store that was restored from a backup, or copied key by
key, may have keys whose lease it does not know: they would stand for ever, and send clients to
servers that are long gone (kubernetes/kubernetes#86812). So each server also sees for itself that
the others renew their keys, by its own clock.

Worked example, `step=10`, `longest=45`: a key has revision 7 at every look from 0 s on. After looks
at 0, 10, 20, 30, 40 and 50 s it has been silent for 50 s, which is too long. Had the store been
away from 10 s to 600 s, the look at 600 s would count as one step, 10 s: nobody could renew.
"""

from collections.abc import Iterable

from podling.controlplane.apiserver.storage.interface import KeyValue


class Silence:
    """For how long each key has had the revision that it has."""

    def __init__(self, step: float, longest: float) -> None:
        """`step`: seconds that may pass from look to look; `longest`: of silence in all."""
        self._step = step
        self._longest = longest
        self._seen: dict[bytes, tuple[int, float]] = {}
        """Revision, and seconds of silence since it was first seen."""
        self._looked_at: float | None = None

    def look(self, keys: Iterable[KeyValue], now: float) -> list[KeyValue]:
        """Those of the keys that nobody has renewed for too long; `now` in seconds."""
        passed = 0.0 if self._looked_at is None else min(now - self._looked_at, self._step)
        self._looked_at = now
        before, self._seen = self._seen, {}
        silent = []
        for kv in keys:
            revision, since = before.get(kv.key, (0, 0.0))
            silence = since + passed if revision == kv.mod_revision else 0.0
            self._seen[kv.key] = (kv.mod_revision, silence)
            if silence > self._longest:
                silent.append(kv)
        return silent
