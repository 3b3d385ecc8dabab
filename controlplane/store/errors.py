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


class RootUserMissing(StoreError):
    status = "FAILED_PRECONDITION"
    text = "etcdserver: root user does not exist"


class RootRoleMissing(StoreError):
    status = "FAILED_PRECONDITION"
    text = "etcdserver: root user does not have root role"


class UserExists(StoreError):
    status = "FAILED_PRECONDITION"
    text = "etcdserver: user name already exists"


class UserEmpty(StoreError):
    """No name where one is needed; also whoever asks without saying who, once that matters."""

    status = "INVALID_ARGUMENT"
    text = "etcdserver: user name is empty"


class UserNotFound(StoreError):
    status = "FAILED_PRECONDITION"
    text = "etcdserver: user name not found"


class RoleExists(StoreError):
    status = "FAILED_PRECONDITION"
    text = "etcdserver: role name already exists"


class RoleNotFound(StoreError):
    status = "FAILED_PRECONDITION"
    text = "etcdserver: role name not found"


class RoleEmpty(StoreError):
    status = "INVALID_ARGUMENT"
    text = "etcdserver: role name is empty"


class AuthFailed(StoreError):
    """Wrong password, no such user: which of them is not told."""

    status = "INVALID_ARGUMENT"
    text = "etcdserver: authentication failed, invalid user ID or password"


class NoPasswordUser(StoreError):
    """A user without a password cannot log in with one. etcd has no status of its own for it."""

    text = "auth: authentication failed, password was given for no password user"


class PasswordTooLong(StoreError):
    """bcrypt looks at the first 72 bytes only. etcd has no status of its own for it."""

    text = "bcrypt: password length exceeds 72 bytes"


class PermissionNotGiven(StoreError):
    status = "INVALID_ARGUMENT"
    text = "etcdserver: permission not given"


class PermissionDenied(StoreError):
    status = "PERMISSION_DENIED"
    text = "etcdserver: permission denied"


class RoleNotGranted(StoreError):
    status = "FAILED_PRECONDITION"
    text = "etcdserver: role is not granted to the user"


class PermissionNotGranted(StoreError):
    status = "FAILED_PRECONDITION"
    text = "etcdserver: permission is not granted to the role"


class AuthNotEnabled(StoreError):
    status = "FAILED_PRECONDITION"
    text = "etcdserver: authentication is not enabled"


class InvalidAuthToken(StoreError):
    """Unknown here, or not used for too long: log in again."""

    status = "UNAUTHENTICATED"
    text = "etcdserver: invalid auth token"


class VerifyOnly(StoreError):
    """This member has only the public key for tokens: log in at one that has the private key. etcd
    has no status of its own for it."""

    text = "auth: token signing attempted with verify-only key"


class InvalidAuthManagement(StoreError):
    """It would leave nobody who can manage users, or it is no range of keys."""

    status = "INVALID_ARGUMENT"
    text = "etcdserver: invalid auth management"


class AuthOldRevision(StoreError):
    """Users or roles changed between the request and its turn, or since a signed token was given
    out: ask again, or log in again."""

    status = "INVALID_ARGUMENT"
    text = "etcdserver: revision of auth store is old"


class Corrupt(StoreError):
    """Members were found to differ; nothing more is written until somebody has looked."""

    status = "DATA_LOSS"
    text = "etcdserver: corrupt cluster"


class EmptyWatchRange(StoreError):
    """Travels as the reason of a cancelled watch, not as a status."""

    status = "INVALID_ARGUMENT"
    text = "mvcc: watcher range is empty"


class DuplicateWatchID(StoreError):
    """Travels as the reason of a cancelled watch, not as a status."""

    status = "INVALID_ARGUMENT"
    text = "mvcc: duplicate watch ID provided on the WatchStream"


class SessionExpired(StoreError):
    """The lease ended while its owner waited for a lock."""

    text = "mutex: session is expired"


class NotElected(StoreError):
    """The caller does not lead the election, or no more."""

    text = "election: not leader"


class NobodyElected(StoreError):
    text = "election: no leader"


class MissingLeaderKey(StoreError):
    text = '"leader" field must be provided'


class MemberNotFound(StoreError):
    status = "NOT_FOUND"
    text = "etcdserver: member not found"


class MemberExists(StoreError):
    status = "FAILED_PRECONDITION"
    text = "etcdserver: member ID already exist"


class PeerUrlExists(StoreError):
    status = "FAILED_PRECONDITION"
    text = "etcdserver: Peer URLs already exists"


class BadMemberUrls(StoreError):
    status = "INVALID_ARGUMENT"
    text = "etcdserver: given member URLs are invalid"


class NotEnoughStarted(StoreError):
    """With the change, members that were never started could keep the others from agreeing."""

    status = "FAILED_PRECONDITION"
    text = "etcdserver: re-configuration failed due to not enough started members"


class UnhealthyCluster(StoreError):
    """Members are away, and the change could cost the quorum."""

    status = "UNAVAILABLE"
    text = "etcdserver: unhealthy cluster"


class MemberNotLearner(StoreError):
    status = "FAILED_PRECONDITION"
    text = "etcdserver: can only promote a learner member"


class LearnerNotReady(StoreError):
    status = "FAILED_PRECONDITION"
    text = "etcdserver: can only promote a learner member which is in sync with leader"


class TooManyLearners(StoreError):
    status = "FAILED_PRECONDITION"
    text = "etcdserver: too many learner members in cluster"


class NotForLearners(StoreError):
    """This member has no vote and serves reads of its own state only; ask another."""

    status = "FAILED_PRECONDITION"
    text = "etcdserver: rpc not supported for learner"


class NotLeader(StoreError):
    """Only the leader does that; ask it."""

    status = "FAILED_PRECONDITION"
    text = "etcdserver: not leader"
