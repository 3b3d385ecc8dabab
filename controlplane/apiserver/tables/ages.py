"""How long ago, in the few letters that `kubectl get` gives it.

The unit grows with the age, and a second, smaller one is shown while it matters:
90s, 5m3s, 42m, 3h5m, 40h, 3d4h, 300d, 2y100d, 9y.
Source: k8s.io/apimachinery `duration.HumanDuration`.
"""

from collections.abc import Mapping
from typing import Any

from podling.kube import meta, timestamps

UNKNOWN = "<unknown>"

_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_YEAR = 365 * _DAY


def human_duration(seconds: float) -> str:
    """A duration for people. Up to two seconds in the future is a skewed clock: `0s`."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 0:
        return "0s"
    if whole < 2 * _MINUTE:
        return f"{whole}s"
    if whole < 10 * _MINUTE:
        return _two(whole, _MINUTE, "m", 1, "s")
    if whole < 3 * _HOUR:
        return f"{whole // _MINUTE}m"
    if whole < 8 * _HOUR:
        return _two(whole, _HOUR, "h", _MINUTE, "m")
    if whole < 2 * _DAY:
        return f"{whole // _HOUR}h"
    if whole < 8 * _DAY:
        return _two(whole, _DAY, "d", _HOUR, "h")
    if whole < 2 * _YEAR:
        return f"{whole // _DAY}d"
    if whole < 8 * _YEAR:
        return _two(whole, _YEAR, "y", _DAY, "d")
    return f"{whole // _YEAR}y"


def since(timestamp: str | None, now: float) -> str:
    """The age of an RFC 3339 timestamp."""
    if not timestamp:
        return UNKNOWN
    return human_duration(now - timestamps.parse_time(timestamp))


def age(obj: Mapping[str, Any], now: float) -> str:
    """The age of an object."""
    return since(meta.metadata(obj).get("creationTimestamp"), now)


def _two(whole: int, large: int, large_sign: str, small: int, small_sign: str) -> str:
    rest = whole % large // small
    return f"{whole // large}{large_sign}" + (f"{rest}{small_sign}" if rest else "")
