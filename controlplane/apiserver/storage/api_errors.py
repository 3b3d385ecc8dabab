"""What the store refuses or fails to do, in the API's terms. Pure."""

from podling.controlplane.apiserver.storage import interface as storage
from podling.kube import errors
from podling.kube.errors import ApiError


def to_api_error(error: storage.StorageError) -> ApiError:
    """The answer to a request that the store failed.

    Only an answer with Retry-After is repeated by clients on their own. A write of unknown outcome
    has none: it may have happened, and only its author knows whether it may be done twice.
    """
    match error:
        case storage.OutcomeUnknown():
            return errors.Timeout(
                "the outcome of this write is unknown: it was handed to the cluster, which did not "
                "confirm it in time. It may have happened or may still happen; read the object "
                f"before trying again ({error})"
            )
        case storage.TooManyRequests():
            return errors.TooManyRequests(
                f"the store is busy, please try again later ({error})", retry_after=1
            )
        case storage.TooLarge():
            return ApiError(
                f"the object is larger than the store takes ({error})",
                code=413,
                reason="RequestEntityTooLarge",
            )
        case storage.Compacted():
            return errors.Expired(
                "The provided resource version is too old: the history before "
                f"{error.compact_revision} is gone."
            )
        case storage.NoSpace():
            return ApiError(
                f"the store is full and takes no writes until space is made ({error})",
                code=507,
                reason="InsufficientStorage",
            )
    # The store has waited for a leader already; a client that repeated this ten times on its own
    # would keep its user waiting for minutes.
    return errors.ServiceUnavailable(f"the store cannot be reached or has no quorum ({error})")
