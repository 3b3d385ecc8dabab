"""Who may lead, decided from one reading of a Lease; pure.

Clocks of different machines are never compared. A candidate notes, on a clock of its own, when it
last saw the record change; only if it has not changed for the whole duration named in it, the
holder is taken for dead (the rule of client-go's leaderelection).

    candidate b reads: holder a, renewed 10:00:00, duration 3 s     seen at  7.0   wait
                       the same                                     seen at  9.5   wait (2.5 < 3)
                       the same                                     seen at 10.1   take (3.1 > 3)
"""

import math
from dataclasses import dataclass, field
from typing import Any, Final

from podling.kube import meta, timestamps
from podling.kube.meta import Object

RELEASED_DURATION: Final = 1
"""Seconds in the record of a holder that gave it up: the shortest that can be written."""


@dataclass(slots=True)
class Observed:
    """What one candidate knows of a Lease."""

    lease: Object | None = None
    """None: never seen, or there is none."""
    changed: float = field(default=0.0)
    """When the record was first seen as it is now, in seconds of the candidate's steady clock."""

    def see(self, lease: Object | None, now: float) -> None:
        if _record(lease) != _record(self.lease):
            self.changed = now
        self.lease = lease

    @property
    def holder(self) -> str:
        return _holder(self.lease)

    def may_take(self, identity: str, now: float) -> bool:
        """Whether `identity` may write itself into the record as it was last seen."""
        if not self.holder or self.holder == identity:
            return True
        duration: float = _record(self.lease).get("leaseDurationSeconds") or 0
        return now > self.changed + duration


def claimed(lease: Object, identity: str, duration: float, wall_now: float) -> Object:
    """`lease` taken or renewed by `identity`; a Lease without spec counts as free."""
    old = _record(lease)
    now = timestamps.format_micro_time(wall_now)
    mine = old.get("holderIdentity") == identity
    transitions = int(old.get("leaseTransitions") or 0)
    spec = {
        **old,
        "holderIdentity": identity,
        "leaseDurationSeconds": max(1, math.ceil(duration)),
        "acquireTime": old.get("acquireTime", now) if mine else now,
        "renewTime": now,
        # The first holder is no transition.
        "leaseTransitions": transitions if mine or not old else transitions + 1,
    }
    return {**lease, "spec": spec}


def released(lease: Object, wall_now: float) -> Object:
    """`lease` given up by its holder, free for anybody at once."""
    now = timestamps.format_micro_time(wall_now)
    spec = {
        **_record(lease),
        "holderIdentity": "",
        "leaseDurationSeconds": RELEASED_DURATION,
        "renewTime": now,
        "acquireTime": now,
    }
    return {**lease, "spec": spec}


def new_lease(namespace: str, name: str) -> Object:
    """A Lease that nobody has held yet."""
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": namespace},
    }


def _record(lease: Object | None) -> dict[str, Any]:
    return (lease or {}).get("spec") or {}


def _holder(lease: Object | None) -> str:
    return str(_record(lease).get("holderIdentity") or "")


def is_stored(lease: Object | None) -> bool:
    """Whether the API server has it."""
    return lease is not None and bool(meta.resource_version(lease))
