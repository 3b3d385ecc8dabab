"""What clients may rely on of a lease: it lives as long as it was said, and its keys with it.

A lease may not be revoked before its time-to-live has passed since it was granted or renewed, by
any clock there is, the fastest included. When it is, all its keys go at one revision.

That much is promised from version 2 of the commands on: a leader that must speak version 1 revokes
without saying which renewals it knows of, and one in the last moment may be overlooked.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from podling.controlplane.store.key_values import Event
from podling.controlplane.store.requests import (
    ClusterVersionRequest,
    LeaseExpireRequest,
    LeaseGrantRequest,
    LeaseKeepAliveRequest,
    LeaseRevokeRequest,
)
from podling.simulate.store.committed_history import Committed
from podling.simulate.store.traces import Trace

UNDER_WAY = 10.0
"""Seconds that a command of version 1 may be under way while the cluster goes over to version 2."""
SLACK = 1e-6
"""Seconds by which clocks may differ in rounding."""


@dataclass(slots=True)
class _Lease:
    ttl: int
    renewed: float
    """True time."""
    keys: set[bytes] = field(default_factory=set)


class LeaseInvariants:
    """Follows the committed commands, each when it is applied first."""

    def __init__(self, trace: Trace, now: Callable[[], float], fastest: float) -> None:
        """`fastest` is the rate of the fastest clock among the members."""
        self._trace = trace
        self._now = now
        self._fastest = fastest
        self._leases: dict[int, _Lease] = {}
        self._old_until = math.inf
        """Until when leases may be revoked as in version 1."""
        self._given_up: set[int] = set()
        self._ended: dict[int, float] = {}
        """When leases were revoked."""

    @property
    def alive(self) -> dict[int, int]:
        """Time-to-live of each lease that exists, by its id."""
        return {number: lease.ttl for number, lease in self._leases.items()}

    def revoked_by_client(self, lease: int) -> None:
        """From now on it may go at any time."""
        self._given_up.add(lease)

    def promised(self, number: int, ttl: int, asked: float) -> None:
        """A client that asked then was told that the lease lives for another `ttl` seconds."""
        lease, ended = self._leases.get(number), self._ended.get(number)
        if lease is not None:
            lease.renewed = max(lease.renewed, asked)
        elif ended is not None and number not in self._given_up:
            self._check_age(number, ttl, ended - asked)

    def applied(self, command: Committed) -> None:
        if not command.refused:
            self._carried_out(command.request, command.result, command.events)
        self._follow(command.events)

    def _carried_out(self, request: Any, result: Any, events: Sequence[Event]) -> None:
        if isinstance(request, LeaseGrantRequest):
            self._leases[request.id] = _Lease(request.ttl, self._now())
        elif isinstance(request, LeaseKeepAliveRequest) and result.ttl > 0:
            self._leases[request.id].renewed = self._now()
        elif isinstance(request, ClusterVersionRequest):
            self._old_until = min(self._old_until, self._now() + UNDER_WAY)
        elif isinstance(request, LeaseRevokeRequest):
            if self._now() < self._old_until:
                self._given_up.add(request.id)
            self._revoked(request.id, events)
        elif isinstance(request, LeaseExpireRequest) and result.expired:
            self._revoked(request.id, events)

    def _revoked(self, number: int, events: Sequence[Event]) -> None:
        lease = self._leases.pop(number)
        self._ended[number] = self._now()
        if number not in self._given_up:
            self._check_age(number, lease.ttl, self._now() - lease.renewed)
        gone = {event.kv.key for event in events if event.deleted}
        if gone != lease.keys:
            self._trace.fail(
                "keys die with their lease",
                f"lease {number:x} had {sorted(lease.keys)}, but {sorted(gone)} went with it",
            )

    def _check_age(self, number: int, ttl: int, lived: float) -> None:
        if lived < ttl / self._fastest - SLACK:
            self._trace.fail(
                "leases live as long as was said",
                f"lease {number:x} of {ttl} s was revoked {lived:.3f} s after it was granted or "
                "renewed",
            )

    def _follow(self, events: Sequence[Event]) -> None:
        for kv, previous, _ in events:
            if previous is not None and previous.lease in self._leases:
                self._leases[previous.lease].keys.discard(kv.key)
            if kv.lease in self._leases:
                self._leases[kv.lease].keys.add(kv.key)
