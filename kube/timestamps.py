"""Kubernetes' two ways to write a moment, both RFC 3339 in UTC.

`Time` has whole seconds (`2006-01-02T15:04:05Z`), `MicroTime` six digits of fraction
(`2006-01-02T15:04:05.000000Z`). Moments are seconds since 1970 everywhere else.
"""

import re
from datetime import UTC, datetime

_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)", re.ASCII)


def format_time(seconds: float) -> str:
    """As `Time`: the fraction is cut off, as Go does."""
    return _format(seconds // 1, "seconds")


def format_micro_time(seconds: float) -> str:
    """As `MicroTime`, rounded to the microsecond."""
    return _format(seconds, "microseconds")


def _format(seconds: float, precision: str) -> str:
    moment = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
    return f"{moment.isoformat(timespec=precision)}Z"


def parse_time(text: str) -> float:
    """Seconds since 1970 of either form, with any offset and any number of fraction digits.

    Raises ValueError, with a text for people, for everything RFC 3339 does not allow.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a time such as 2006-01-02T15:04:05Z")
    clock, fraction, offset = match.groups()
    try:
        moment = datetime.fromisoformat(clock + ("+00:00" if offset == "Z" else offset))
    except ValueError as error:
        raise ValueError(f"{text!r} is not a time: {error}") from None
    return moment.timestamp() + (float(f"0.{fraction}") if fraction else 0.0)
