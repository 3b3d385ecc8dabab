"""Leases: keys that die together unless someone keeps them alive (etcd: server/lease/lessor.go).

What is replicated is which leases exist, their time-to-live, and which keys are attached. Grants,
renewals and revocations are commands in the log, so every member has them. When a lease ends is
not replicated: each member counts from when it applied the grant or the last renewal, which is
never before the client was told. Only the leader acts on it, by proposing a revocation; so a lease
ends for everybody at one revision. A renewal may stand in the log before the revocation although
the leader did not know of it when it proposed that; it counts all the same. So the leader names how
often the lease had been renewed when its time was up, and if that has changed the lease lives on.
A member that begins to lead gives every lease its full time again, because clients could not renew
while there was no leader. (etcd can keep the time left of long leases by checkpoints; that is an
experiment of its own, and not here.)

Worked example, times in seconds: a lease of 5 is granted at 100, so it ends at 105. Renewed at 103
it ends at 108; `expired(106)` then finds that the entry made at 100 is no longer true and makes one
for 108. At 108.5 the lease is returned, and again a second later if nobody revoked it meanwhile.
"""

import heapq
from collections.abc import Iterable, Iterator

from podling.controlplane.store import errors
from podling.controlplane.store.key_values import Event

#: Largest time-to-live, in seconds (etcd's MaxLeaseTTL).
MAX_TTL = 9_000_000_000

#: Seconds until an expired lease that still exists is returned again.
RETRY = 1.0

SLACK = 1000
"""Checks of leases that are gone which may stay in the heap."""


class Lease:
    """One lease. `ttl` and `deadline` are in seconds, the latter of this member's clock."""

    __slots__ = ("deadline", "id", "keys", "renewals", "ttl")

    def __init__(self, lease_id: int, ttl: int, deadline: float) -> None:
        self.id = lease_id
        self.ttl = ttl
        self.deadline = deadline
        self.keys: set[bytes] = set()
        self.renewals = 0
        """Since the grant, or since the cluster went over to version 2; the same everywhere."""


class Leases:
    """All leases of a store. `now` is always seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._leases: dict[int, Lease] = {}
        self._checks: list[tuple[float, int]] = []
        """Heap of (when to look, lease id): at least one for each lease, not after its end."""

    def __contains__(self, lease_id: object) -> bool:
        return lease_id in self._leases

    def __len__(self) -> int:
        return len(self._leases)

    def __iter__(self) -> Iterator[Lease]:
        return iter(self._leases.values())

    def get(self, lease_id: int) -> Lease | None:
        return self._leases.get(lease_id)

    def grant(self, lease_id: int, ttl: int, now: float) -> Lease:
        """Raises LeaseExists, LeaseTTLTooLarge, and LeaseNotFound for the id 0."""
        if not lease_id:
            raise errors.LeaseNotFound
        if ttl > MAX_TTL:
            raise errors.LeaseTTLTooLarge
        if lease_id in self._leases:
            raise errors.LeaseExists
        lease = self._leases[lease_id] = Lease(lease_id, ttl, now + ttl)
        heapq.heappush(self._checks, (lease.deadline, lease_id))
        return lease

    def revoke(self, lease_id: int) -> list[bytes]:
        """Forget a lease; return the keys that die with it, sorted. Raises LeaseNotFound."""
        lease = self._leases.pop(lease_id, None)
        if lease is None:
            raise errors.LeaseNotFound
        if len(self._checks) > 2 * len(self._leases) + SLACK:
            self._checks = [(each.deadline, each.id) for each in self._leases.values()]
            heapq.heapify(self._checks)
        return sorted(lease.keys)

    def renew(self, lease_id: int, now: float) -> int:
        """Start the lease's time again; return its time-to-live. Raises LeaseNotFound."""
        lease = self._leases.get(lease_id)
        if lease is None:
            raise errors.LeaseNotFound
        lease.deadline = now + lease.ttl
        lease.renewals += 1
        return lease.ttl

    def count_renewals_anew(self) -> None:
        """As of now every member counts them."""
        for lease in self._leases.values():
            lease.renewals = 0

    def renew_all(self, now: float) -> None:
        """This member begins to lead."""
        for lease in self._leases.values():
            lease.deadline = now + lease.ttl

    def follow(self, events: Iterable[Event]) -> None:
        """Attach and detach the keys that a transaction changed."""
        for kv, previous, _ in events:
            if previous is not None and previous.lease and previous.lease != kv.lease:
                self._detach(previous.lease, previous.key)
            if kv.lease:
                self.attach(kv.lease, kv.key)

    def attach(self, lease_id: int, key: bytes) -> None:
        lease = self._leases.get(lease_id)
        if lease is not None:
            lease.keys.add(key)

    def remaining(self, lease_id: int, now: float) -> int:
        """Whole seconds left, as etcd's cut off; 0 if expired. Raises LeaseNotFound."""
        lease = self._leases.get(lease_id)
        if lease is None:
            raise errors.LeaseNotFound
        return max(0, int(lease.deadline - now))

    def by_deadline(self) -> list[Lease]:
        """All leases, the one that ends next first."""
        return sorted(self._leases.values(), key=lambda lease: (lease.deadline, lease.id))

    def expired(self, now: float, limit: int) -> list[int]:
        """Up to `limit` leases to revoke. One that is not revoked comes again after `RETRY` s."""
        due: list[int] = []
        while self._checks and self._checks[0][0] <= now and len(due) < limit:
            _, lease_id = heapq.heappop(self._checks)
            lease = self._leases.get(lease_id)
            if lease is None:
                continue
            if lease.deadline > now:
                heapq.heappush(self._checks, (lease.deadline, lease_id))
            else:
                due.append(lease_id)
                heapq.heappush(self._checks, (now + RETRY, lease_id))
        return due

    def _detach(self, lease_id: int, key: bytes) -> None:
        lease = self._leases.get(lease_id)
        if lease is not None:
            lease.keys.discard(key)
