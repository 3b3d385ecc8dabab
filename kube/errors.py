"""The API's errors as exceptions, both ways: raised by the server, raised again by the client.

    ApiError
      BadRequest 400              NotAcceptable 406            TooManyRequests 429
      Unauthorized 401            Conflict 409                 InternalError 500
      Forbidden 403               AlreadyExists 409            ServerTimeout 500
      NotFound 404                Gone, Expired 410            ServiceUnavailable 503
      MethodNotAllowed 405        RequestEntityTooLarge 413    Timeout 504
                                  UnsupportedMediaType 415
                                  Invalid 422

Each class makes upstream's text from what it is told, so that people, tests and tools that read
messages meet what they know. Source: apimachinery's `api/errors` and the type `meta/v1 Status`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from podling.kube.field_errors import FieldError
from podling.kube.kinds import Kind
from podling.kube.meta import Object

__all__ = [
    "AlreadyExists", "ApiError", "BadRequest", "Conflict", "Expired", "FieldError", "Forbidden",
    "Gone", "InternalError", "Invalid", "MethodNotAllowed", "NotAcceptable", "NotFound",
    "RequestEntityTooLarge", "ServerTimeout", "ServiceUnavailable", "Timeout", "TooManyRequests",
    "Unauthorized", "UnsupportedMediaType", "too_large_resource_version",
]  # fmt: skip

MODIFIED = (
    "the object has been modified; please apply your changes to the latest version and try again"
)


class ApiError(Exception):
    """A request that failed, with what a Status says about it."""

    CODE: ClassVar[int] = 500
    REASON: ClassVar[str] = ""

    code: int
    """HTTP status."""
    reason: str
    """What programs decide by: `NotFound`, `Conflict` … Empty if unknown."""
    message: str
    details: Object
    """`name`, `group`, `kind` (a plural, except in Invalid), `uid`, `causes`,
    `retryAfterSeconds`; each present only where it says something."""

    def __init__(
        self,
        message: str,
        *,
        code: int | None = None,
        reason: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = self.CODE if code is None else code
        self.reason = self.REASON if reason is None else reason
        self.message = message
        self.details = {name: value for name, value in (details or {}).items() if value}

    @property
    def retry_after(self) -> int:
        """Seconds after which to try again; 0 where the server did not ask for it."""
        value = self.details.get("retryAfterSeconds", 0)
        return value if isinstance(value, int) else 0

    @property
    def causes(self) -> list[Object]:
        return list(self.details.get("causes") or ())

    def to_status(self) -> Object:
        """The body of the answer."""
        status: Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            status["reason"] = self.reason
        if self.details:
            status["details"] = self.details
        status["code"] = self.code
        return status

    @staticmethod
    def from_status(status: Mapping[str, Any]) -> "ApiError":
        """The exception a Status stands for; by its code where the reason says nothing."""
        reason = str(status.get("reason") or "")
        code = status.get("code")
        number = code if isinstance(code, int) else 500
        family = _BY_REASON.get(reason) or (ApiError if reason else _BY_CODE.get(number, ApiError))
        details = status.get("details")
        error: ApiError = family.__new__(family)
        ApiError.__init__(
            error,
            str(status.get("message") or reason or f"the server answered with status {number}"),
            code=number,
            reason=reason or None,
            details=details if isinstance(details, Mapping) else None,
        )
        return error

    def __reduce__(self) -> tuple[Any, ...]:
        return ApiError.from_status, (self.to_status(),)


def _about(kind: Kind | None, name: str = "", **more: Any) -> Object:
    """Details that name an object by its resource."""
    if kind is None:
        return {"name": name, **more}
    return {"name": name, "group": kind.group, "kind": kind.plural, **more}


class BadRequest(ApiError):
    """The request cannot be understood; repeating it is pointless."""

    CODE = 400
    REASON = "BadRequest"

    def __init__(self, message: str) -> None:
        super().__init__(message)


class Unauthorized(ApiError):
    """Nobody known is asking."""

    CODE = 401
    REASON = "Unauthorized"

    def __init__(self, message: str = "Unauthorized") -> None:
        super().__init__(message)


class Forbidden(ApiError):
    """`pods "x" is forbidden: …`: not allowed to this user, or by an admission rule."""

    CODE = 403
    REASON = "Forbidden"

    def __init__(
        self,
        *,
        message: str,
        kind: Kind | None = None,
        name: str = "",
        causes: Sequence[Mapping[str, str]] = (),
    ) -> None:
        subject = kind.resource if kind else ""
        if name:
            subject = f'{subject} "{name}"'.lstrip()
        super().__init__(
            f"{subject} is forbidden: {message}" if subject else f"forbidden: {message}",
            details=_about(kind, name, causes=[dict(cause) for cause in causes]),
        )


class NotFound(ApiError):
    """`pods "x" not found`; without a kind, a path that leads nowhere."""

    CODE = 404
    REASON = "NotFound"

    def __init__(self, *, kind: Kind | None = None, name: str = "") -> None:
        if kind is None:
            super().__init__("the server could not find the requested resource")
        else:
            super().__init__(f'{kind.resource} "{name}" not found', details=_about(kind, name))


class MethodNotAllowed(ApiError):
    """`patch is not supported on resources of kind "events"`."""

    CODE = 405
    REASON = "MethodNotAllowed"

    def __init__(self, *, verb: str, kind: Kind | None = None) -> None:
        if kind is None:
            super().__init__("the server does not allow this method on the requested resource")
        else:
            super().__init__(
                f'{verb} is not supported on resources of kind "{kind.resource}"',
                details=_about(kind),
            )


class NotAcceptable(ApiError):
    """No media type the client accepts can be given."""

    CODE = 406
    REASON = "NotAcceptable"

    def __init__(self, *, accepted: Iterable[str]) -> None:
        super().__init__(f"only the following media types are accepted: {', '.join(accepted)}")


class AlreadyExists(ApiError):
    """`pods "x" already exists`. With `generated`, the name was made up by the server."""

    CODE = 409
    REASON = "AlreadyExists"

    def __init__(self, *, kind: Kind, name: str, generated: bool = False) -> None:
        if not generated:
            super().__init__(f'{kind.resource} "{name}" already exists', details=_about(kind, name))
            return
        super().__init__(
            f'{kind.resource} "{name}" already exists, the server was not able to generate a '
            "unique name for the object",
            details=_about(kind, name, retryAfterSeconds=1),
        )


class Conflict(ApiError):
    """The object is not in the state the request was made for."""

    CODE = 409
    REASON = "Conflict"

    def __init__(
        self,
        *,
        kind: Kind,
        name: str,
        message: str = MODIFIED,
        causes: Sequence[Mapping[str, str]] = (),
    ) -> None:
        super().__init__(
            f'Operation cannot be fulfilled on {kind.resource} "{name}": {message}',
            details=_about(kind, name, causes=[dict(cause) for cause in causes]),
        )


class Gone(ApiError):
    """It was here and will not come back."""

    CODE = 410
    REASON = "Gone"

    def __init__(self, message: str) -> None:
        super().__init__(message)


class Expired(ApiError):
    """The revision asked for is no longer kept: list again."""

    CODE = 410
    REASON = "Expired"

    def __init__(self, message: str = "The resourceVersion for the provided watch is too old."):
        super().__init__(message)


class RequestEntityTooLarge(ApiError):
    """The body is larger than `limit` bytes."""

    CODE = 413
    REASON = "RequestEntityTooLarge"

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"Request entity too large: limit is {limit}")


class UnsupportedMediaType(ApiError):
    """The body is in none of the media types that can be read here."""

    CODE = 415
    REASON = "UnsupportedMediaType"

    def __init__(self, *, accepted: Iterable[str]) -> None:
        super().__init__(
            "the body of the request was in an unknown format - accepted media types include: "
            + ", ".join(accepted)
        )


class Invalid(ApiError):
    """`Pod "x" is invalid: spec.containers: Required value`, each field error also a cause."""

    CODE = 422
    REASON = "Invalid"

    def __init__(
        self, *, kind: Kind | None, name: str, errors: Sequence[FieldError], kind_name: str = ""
    ) -> None:
        """`kind_name` names what is not a stored kind, such as `ListOptions.meta.k8s.io`."""
        texts = list(dict.fromkeys(str(error) for error in errors))
        joined = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
        short, _, group = kind_name.partition(".")
        super().__init__(
            f'{kind.qualified_kind if kind else kind_name} "{name}" is invalid'
            + (f": {joined}" if texts else ""),
            details={
                "name": name,
                "group": kind.group if kind else group,
                "kind": kind.kind if kind else short,
                "causes": [error.to_cause() for error in errors],
            },
        )


class TooManyRequests(ApiError):
    """The server is busy, or a disruption budget forbids it for now: try again later."""

    CODE = 429
    REASON = "TooManyRequests"

    def __init__(
        self,
        message: str = "Too many requests, please try again later.",
        *,
        retry_after: int = 1,
        causes: Sequence[Mapping[str, str]] = (),
    ) -> None:
        super().__init__(
            message,
            details={
                "retryAfterSeconds": retry_after,
                "causes": [dict(cause) for cause in causes],
            },
        )


class InternalError(ApiError):
    """The server's own fault. `message` says what failed and must hold no secret."""

    CODE = 500
    REASON = "InternalError"

    def __init__(self, message: str) -> None:
        super().__init__(
            f"Internal error occurred: {message}", details={"causes": [{"message": message}]}
        )


class ServerTimeout(ApiError):
    """The operation may or may not have been carried out."""

    CODE = 500
    REASON = "ServerTimeout"

    def __init__(self, *, kind: Kind, verb: str, retry_after: int = 0) -> None:
        super().__init__(
            f"The {verb} operation against {kind.resource} could not be completed at this time, "
            "please try again.",
            details=_about(kind, verb, retryAfterSeconds=retry_after),
        )


class ServiceUnavailable(ApiError):
    """Nothing was done; for example, the store has no leader."""

    CODE = 503
    REASON = "ServiceUnavailable"

    def __init__(self, message: str, *, retry_after: int = 0) -> None:
        super().__init__(message, details={"retryAfterSeconds": retry_after})


class Timeout(ApiError):
    """It took too long; a write may or may not have been carried out."""

    CODE = 504
    REASON = "Timeout"

    def __init__(
        self,
        message: str,
        *,
        retry_after: int = 0,
        causes: Sequence[Mapping[str, str]] = (),
    ) -> None:
        super().__init__(
            f"Timeout: {message}",
            details={
                "retryAfterSeconds": retry_after,
                "causes": [dict(cause) for cause in causes],
            },
        )


def too_large_resource_version(wanted: int, current: int, retry_after: int = 1) -> Timeout:
    """A reader asked for a revision this server has not seen yet."""
    return Timeout(
        f"Too large resource version: {wanted}, current: {current}",
        retry_after=retry_after,
        causes=[{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
    )


_ALL: tuple[type[ApiError], ...] = (
    BadRequest, Unauthorized, Forbidden, NotFound, MethodNotAllowed, NotAcceptable, AlreadyExists,
    Conflict, Gone, Expired, RequestEntityTooLarge, UnsupportedMediaType, Invalid,
    TooManyRequests, InternalError, ServerTimeout, ServiceUnavailable, Timeout,
)  # fmt: skip
# Where two reasons share a code, these stand for it when no reason was given.
_PLAIN: tuple[type[ApiError], ...] = (Conflict, Expired, InternalError)
_BY_REASON: dict[str, type[ApiError]] = {family.REASON: family for family in _ALL}
_BY_CODE: dict[int, type[ApiError]] = {family.CODE: family for family in _ALL} | {
    family.CODE: family for family in _PLAIN
}
