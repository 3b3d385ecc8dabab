"""Durations as flags of Go programs have them, such as 1h30m or 500ms. Pure."""

import re

UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)")


def parse(text: str) -> float:
    """Seconds; raises ValueError. A bare 0 needs no unit (Go, time.ParseDuration)."""
    if text == "0":
        return 0.0
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration such as 30m, 1h or 1h30m")
    return sum(float(number) * UNITS[unit] for number, unit in parts)
