"""The options of a request, from its query and its body. Pure.

Names and rules are those of the types CreateOptions, UpdateOptions, PatchOptions, DeleteOptions and
ListOptions of meta/v1; what breaks a rule is a 422 that names the parameter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from podling.controlplane.apiserver.request.routes import is_true
from podling.kube import errors
from podling.kube.errors import FieldError
from podling.kube.meta import Object

STRICT, WARN, IGNORE = "Strict", "Warn", "Ignore"
ORPHAN, BACKGROUND, FOREGROUND = "Orphan", "Background", "Foreground"
NOT_OLDER_THAN, EXACT = "NotOlderThan", "Exact"
FIELD_MANAGER_LENGTH_MAX = 128


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How something is created or changed."""

    dry_run: bool = False
    """Go through everything, and store nothing."""
    field_validation: str = WARN
    """What unknown and duplicate fields are: an error, a warning, or nothing."""


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """How something is deleted."""

    dry_run: bool = False
    grace_period_seconds: int | None = None
    """None: as the object itself says."""
    propagation_policy: str = ""
    """What becomes of what it owns; empty: the default, which is Background."""
    uid: str = ""
    """Delete only the object with this uid."""
    resource_version: str = ""
    """Delete only the object in this state."""

    def as_object(self) -> Object:
        """For strategies, which read DeleteOptions as clients write them."""
        if self.grace_period_seconds is None:
            return {}
        return {"gracePeriodSeconds": self.grace_period_seconds}


@dataclass(frozen=True, slots=True)
class ListOptions:
    """What a list or a watch is about."""

    label_selector: str = ""
    field_selector: str = ""
    resource_version: str = ""
    resource_version_match: str = ""
    limit: int = 0
    continue_token: str = ""
    timeout_seconds: int | None = None
    send_initial_events: bool | None = None
    allow_watch_bookmarks: bool = False


def write_options(query: Mapping[str, str], kind_name: str) -> WriteOptions:
    """`kind_name` is CreateOptions, UpdateOptions or PatchOptions. Raises errors.Invalid."""
    wrong: list[FieldError] = []
    validation = query.get("fieldValidation") or WARN
    if validation not in (STRICT, WARN, IGNORE):
        wrong.append(
            FieldError.not_supported("fieldValidation", validation, (IGNORE, STRICT, WARN))
        )
    manager = query.get("fieldManager", "")
    if len(manager.encode()) > FIELD_MANAGER_LENGTH_MAX:
        wrong.append(FieldError.too_long("fieldManager", FIELD_MANAGER_LENGTH_MAX))
    elif not manager.isprintable():
        wrong.append(FieldError.invalid("fieldManager", manager, "must be printable characters"))
    options = WriteOptions(_dry_run(query.get("dryRun"), wrong), validation)
    _raise(wrong, kind_name)
    return options


def delete_options(query: Mapping[str, str], body: Object) -> DeleteOptions:
    """The body counts; where it is empty, the query. Raises errors.Invalid, errors.BadRequest."""
    given = body or _delete_options_in(query)
    wrong: list[FieldError] = []
    dry_run = given.get("dryRun") or []
    if not isinstance(dry_run, list):
        raise errors.BadRequest("DeleteOptions.dryRun must be a list of strings")
    grace = given.get("gracePeriodSeconds")
    if grace is not None and (not isinstance(grace, int) or isinstance(grace, bool)):
        raise errors.BadRequest("DeleteOptions.gracePeriodSeconds must be an integer")
    preconditions = given.get("preconditions") or {}
    if not isinstance(preconditions, dict):
        raise errors.BadRequest("DeleteOptions.preconditions must be an object")
    options = DeleteOptions(
        dry_run=any(_dry_run(value, wrong) for value in (*dry_run, query.get("dryRun"))),
        # A negative period means "at once, as far as the kind allows", which is one second.
        grace_period_seconds=1 if grace is not None and grace < 0 else grace,
        propagation_policy=_propagation(given, wrong),
        uid=str(preconditions.get("uid") or ""),
        resource_version=str(preconditions.get("resourceVersion") or ""),
    )
    _raise(wrong, "DeleteOptions")
    return options


def list_options(query: Mapping[str, str]) -> ListOptions:
    """Raises errors.BadRequest for numbers that are none, errors.Invalid for broken rules."""
    initial = query.get("sendInitialEvents")
    options = ListOptions(
        label_selector=query.get("labelSelector", ""),
        field_selector=query.get("fieldSelector", ""),
        resource_version=query.get("resourceVersion", ""),
        resource_version_match=query.get("resourceVersionMatch", ""),
        limit=_integer(query, "limit") or 0,
        continue_token=query.get("continue", ""),
        timeout_seconds=_integer(query, "timeoutSeconds"),
        send_initial_events=None if initial in (None, "") else is_true(initial),
        allow_watch_bookmarks=is_true(query.get("allowWatchBookmarks")),
    )
    version = options.resource_version
    if version and not (version.isascii() and version.isdigit()):
        _raise([FieldError.invalid("resourceVersion", version, "must be a number")], "ListOptions")
    if options.limit < 0:
        _raise([FieldError.invalid("limit", options.limit, "must not be negative")], "ListOptions")
    return options


def check_list(options: ListOptions) -> None:
    """The rules of a list. Raises errors.Invalid."""
    match, version = options.resource_version_match, options.resource_version
    wrong: list[FieldError] = []
    if options.send_initial_events is not None:
        wrong.append(
            FieldError.forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list")
        )
    if match:
        if options.continue_token:
            wrong.append(_match_forbidden("resourceVersionMatch is forbidden with continue"))
        elif match not in (NOT_OLDER_THAN, EXACT):
            wrong.append(
                FieldError.not_supported("resourceVersionMatch", match, (EXACT, NOT_OLDER_THAN))
            )
        elif not version:
            wrong.append(
                _match_forbidden("resourceVersionMatch is forbidden unless resourceVersion is set")
            )
        elif match == EXACT and version == "0":
            wrong.append(
                _match_forbidden(
                    'resourceVersionMatch "Exact" is forbidden for resourceVersion "0"'
                )
            )
    _raise(wrong, "ListOptions")
    if options.continue_token and version not in ("", "0"):
        raise errors.BadRequest("specifying resource version is not allowed when using continue")


def check_watch(options: ListOptions) -> None:
    """The rules of a watch. Raises errors.Invalid."""
    wrong: list[FieldError] = []
    match, initial = options.resource_version_match, options.send_initial_events
    if match and initial is None:
        wrong.append(
            _match_forbidden(
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            )
        )
    if initial is not None and match != NOT_OLDER_THAN:
        if match:
            wrong.append(FieldError.not_supported("resourceVersionMatch", match, (NOT_OLDER_THAN,)))
        else:
            wrong.append(
                _match_forbidden(
                    "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
                )
            )
    if options.continue_token:
        wrong.append(FieldError.forbidden("continue", "continue is forbidden for watch"))
    _raise(wrong, "ListOptions")


def _match_forbidden(detail: str) -> FieldError:
    return FieldError.forbidden("resourceVersionMatch", detail)


def _delete_options_in(query: Mapping[str, str]) -> Object:
    given: dict[str, Any] = {}
    if query.get("gracePeriodSeconds"):
        given["gracePeriodSeconds"] = _integer(query, "gracePeriodSeconds")
    if query.get("propagationPolicy"):
        given["propagationPolicy"] = query["propagationPolicy"]
    if query.get("orphanDependents"):
        given["orphanDependents"] = is_true(query["orphanDependents"])
    return given


def _propagation(given: Mapping[str, Any], wrong: list[FieldError]) -> str:
    policy, orphan = given.get("propagationPolicy"), given.get("orphanDependents")
    if policy is not None and orphan is not None:
        wrong.append(
            FieldError.invalid(
                "propagationPolicy",
                policy,
                "orphanDependents and deletionPropagation cannot be both set",
            )
        )
    if orphan is not None:
        return ORPHAN if orphan is True else BACKGROUND
    if policy is None:
        return ""
    if policy not in (ORPHAN, BACKGROUND, FOREGROUND):
        wrong.append(
            FieldError.not_supported("propagationPolicy", policy, (BACKGROUND, FOREGROUND, ORPHAN))
        )
    return str(policy)


def _dry_run(value: Any, wrong: list[FieldError]) -> bool:
    if value in (None, ""):
        return False
    if value != "All":
        wrong.append(FieldError.not_supported("dryRun", value, ("All",)))
    return True


def _integer(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name, "")
    if not text:
        return None
    try:
        number = int(text)
    except ValueError:
        number = 1 << 64
    if abs(number) >= 1 << 63:
        raise errors.BadRequest(f"the query parameter {name} must be an integer, not {text!r}")
    return number


def _raise(wrong: Sequence[FieldError], kind_name: str) -> None:
    if wrong:
        raise errors.Invalid(kind=None, name="", errors=wrong, kind_name=f"{kind_name}.meta.k8s.io")
