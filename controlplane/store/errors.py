"""What the store refuses to do, in etcd's own words (etcd: api/v3rpc/rpctypes/error.go).

Clients match on these texts, so they are part of the protocol. `status` is the name of the gRPC
status code that travels with the text; the store itself does not know the gRPC library.

An error that is the outcome of a replicated command is returned, not raised, by the state machine
(it is as much a result as a response is), and raised by the façade.
"""

from typing import ClassVar


class StoreError(Exception):
    """Base of everything the store refuses. Nothing changed, unless a subclass says otherwise."""

    status: ClassVar[str] = "UNKNOWN"
    text: ClassVar[str] = "etcdserver: unknown error"

    def __init__(self) -> None:
        super().__init__(self.text)


class EmptyKey(StoreError):
    status = "INVALID_ARGUMENT"
    text = "etcdserver: key is not provided"


class KeyNotFound(StoreError):
    """A put that keeps the value or lease of a key that does not exist."""

    status = "INVALID_ARGUMENT"
    text = "etcdserver: key not found"


class ValueProvided(StoreError):
    status = "INVALID_ARGUMENT"
    text = "etcdserver: value is provided"


class LeaseProvided(StoreError):
    status = "INVALID_ARGUMENT"
    text = "etcdserver: lease is provided"


class TooManyOps(StoreError):
    status = "INVALID_ARGUMENT"
    text = "etcdserver: too many operations in txn request"


class DuplicateKey(StoreError):
    """A transaction would write one key twice, which has no meaning within one revision."""

    status = "INVALID_ARGUMENT"
    text = "etcdserver: duplicate key given in txn request"


class InvalidSortOption(StoreError):
    status = "INVALID_ARGUMENT"
    text = "etcdserver: invalid sort option"


class Compacted(StoreError):
    """The revision asked for has been forgotten."""

    status = "OUT_OF_RANGE"
    text = "etcdserver: mvcc: required revision has been compacted"

    def __init__(self, compact_revision: int) -> None:
        super().__init__()
        self.compact_revision = compact_revision
        """The oldest revision that can still be read."""


class FutureRevision(StoreError):
    status = "OUT_OF_RANGE"
    text = "etcdserver: mvcc: required revision is a future revision"


class NoSpace(StoreError):
    status = "RESOURCE_EXHAUSTED"
    text = "etcdserver: mvcc: database space exceeded"


class LeaseNotFound(StoreError):
    status = "NOT_FOUND"
    text = "etcdserver: requested lease not found"


class LeaseExists(StoreError):
    status = "FAILED_PRECONDITION"
    text = "etcdserver: lease already exists"


class LeaseTTLTooLarge(StoreError):
    status = "OUT_OF_RANGE"
    text = "etcdserver: too large lease TTL"


class RequestTooLarge(StoreError):
    status = "INVALID_ARGUMENT"
    text = "etcdserver: request is too large"


class TooManyRequests(StoreError):
    """The bound of proposals in flight is reached; nothing was proposed."""

    status = "RESOURCE_EXHAUSTED"
    text = "etcdserver: too many requests"


class NoLeader(StoreError):
    status = "UNAVAILABLE"
    text = "etcdserver: no leader"


class LeaderChanged(StoreError):
    """The read was not served before leadership moved on."""

    status = "UNAVAILABLE"
    text = "etcdserver: leader changed"


class Timeout(StoreError):
    """No outcome in time. A write may have happened, or may still happen: it is unknown."""

    status = "UNAVAILABLE"
    text = "etcdserver: request timed out"


class Stopped(StoreError):
    """This member is going down. A write under way may have happened: it is unknown."""

    status = "UNAVAILABLE"
    text = "etcdserver: server stopped"


class BadLeaderTransferee(StoreError):
    status = "FAILED_PRECONDITION"
    text = "etcdserver: bad leader transferee"


class NotCapable(StoreError):
    """Not every member understands the command yet: the cluster is being upgraded."""

    status = "FAILED_PRECONDITION"
    text = "etcdserver: not capable"


class EmptyWatchRange(StoreError):
    """Travels as the reason of a cancelled watch, not as a status."""

    status = "INVALID_ARGUMENT"
    text = "mvcc: watcher range is empty"


class DuplicateWatchID(StoreError):
    """Travels as the reason of a cancelled watch, not as a status."""

    status = "INVALID_ARGUMENT"
    text = "mvcc: duplicate watch ID provided on the WatchStream"
