"""Resource quantities: `500m` of a core, `1.5Gi` of memory, `1e3` of anything. Exact arithmetic.

    quantity.parse("1.5Gi") + quantity.parse("512Mi")  ->  2Gi
    quantity.canonical("0.5")                          ->  "500m"

A quantity is a whole number of billionths, since no finer step than `n` exists; what is finer is
rounded away from zero, as upstream does, and nothing exceeds 2**63-1. It remembers how it was
written, which decides how it is printed. Source: apimachinery's `api/resource`.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

BINARY = "BinarySI"
DECIMAL = "DecimalSI"
EXPONENT = "DecimalExponent"

NANO: Final = 10**9
_MAX_NANOS: Final = (2**63 - 1) * NANO
_MAX_CHARACTERS: Final = 256
_TEXT = re.compile(
    r"([+-]?)(?:([0-9]+)(?:\.([0-9]*))?|\.([0-9]+))(?:([KMGTPE]i)|[eE]([+-]?[0-9]+)|([numkMGTPE]?))",
    re.ASCII,
)
_BINARY_SUFFIXES = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL_SUFFIXES = {
    "n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18,
}  # fmt: skip
_SUFFIX_OF = {exponent: suffix for suffix, exponent in _DECIMAL_SUFFIXES.items()}


class QuantityError(ValueError):
    """Not a quantity."""


@dataclass(frozen=True, slots=True, order=True)
class Quantity:
    """An exact amount. Compared by amount alone: `1` equals `1000m`."""

    nanos: int
    """The amount in billionths."""
    format: str = field(default=DECIMAL, compare=False)
    """BINARY, DECIMAL or EXPONENT: how it is printed."""

    def __add__(self, other: "Quantity") -> "Quantity":
        return Quantity(self.nanos + other.nanos, self._format_with(other))

    def __sub__(self, other: "Quantity") -> "Quantity":
        return Quantity(self.nanos - other.nanos, self._format_with(other))

    def __neg__(self) -> "Quantity":
        return Quantity(-self.nanos, self.format)

    def __mul__(self, factor: int) -> "Quantity":
        return Quantity(self.nanos * factor, self.format)

    def __bool__(self) -> bool:
        return self.nanos != 0

    def __float__(self) -> float:
        return self.nanos / NANO

    def value(self) -> int:
        """Whole units, rounded up: bytes of memory."""
        return -(-self.nanos // NANO)

    def milli_value(self) -> int:
        """Thousandths, rounded up: thousandths of a core."""
        return -(-self.nanos // 10**6)

    def _format_with(self, other: "Quantity") -> str:
        """Nothing has no format of its own, so the other's is taken."""
        return self.format if self.nanos else other.format

    def __str__(self) -> str:
        """The canonical form: no fraction, the largest suffix that loses nothing."""
        whole = self.nanos % NANO == 0
        if self.format == BINARY and whole and abs(self.nanos) >= 1024 * NANO:
            return _print_binary(self.nanos // NANO)
        return _print_decimal(self.nanos, self.format == EXPONENT)


ZERO = Quantity(0)


def parse(value: str | int | float) -> Quantity:
    """Read what an object's JSON may hold. Raises QuantityError."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise QuantityError(f"{value!r} is not a quantity such as 500m, 2 or 1.5Gi")
    return _parse_text(value if isinstance(value, str) else repr(value))


def canonical(value: str | int | float) -> str:
    """The form in which a quantity is stored. Raises QuantityError."""
    return str(parse(value))


@lru_cache(maxsize=4096)
def _parse_text(text: str) -> Quantity:
    match = _TEXT.fullmatch(text.strip()) if len(text) <= _MAX_CHARACTERS else None
    if match is None:
        raise QuantityError(
            "quantities must match the regular expression "
            "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        )
    sign, whole, fraction, bare_fraction, binary, exponent, decimal = match.groups()
    fraction = bare_fraction or fraction or ""
    digits = int((whole or "") + fraction)
    if binary:
        scale, power = 1024 ** _BINARY_SUFFIXES.index(binary), 9 - len(fraction)
        nanos = _scaled(digits * scale, power)
        return _signed(sign, nanos, BINARY)
    if exponent is not None:
        power = _bounded(exponent) + 9 - len(fraction)
        return _signed(sign, _scaled(digits, power), EXPONENT)
    power = _DECIMAL_SUFFIXES[decimal] + 9 - len(fraction)
    return _signed(sign, _scaled(digits, power), DECIMAL)


def _bounded(exponent: str) -> int:
    """An exponent beyond what any quantity can reach is as good as the limit, and is cheap."""
    return max(-2 * _MAX_CHARACTERS, min(2 * _MAX_CHARACTERS, int(exponent)))


def _scaled(digits: int, power: int) -> int:
    """digits * 10**power, rounded up."""
    step: int = 10 ** abs(power)
    return digits * step if power >= 0 else -(-digits // step)


def _signed(sign: str, nanos: int, written: str) -> Quantity:
    capped = min(nanos, _MAX_NANOS)
    return Quantity(-capped if sign == "-" else capped, written)


def _print_binary(amount: int) -> str:
    step = 0
    while amount % 1024 == 0 and step < len(_BINARY_SUFFIXES) - 1:
        amount //= 1024
        step += 1
    return f"{amount}{_BINARY_SUFFIXES[step]}"


def _print_decimal(nanos: int, as_exponent: bool) -> str:
    exponent = -9
    while nanos and nanos % 1000 == 0 and exponent < 18:
        nanos //= 1000
        exponent += 3
    if not nanos:
        return "0"
    if as_exponent:
        return f"{nanos}e{exponent}" if exponent else str(nanos)
    return f"{nanos}{_SUFFIX_OF[exponent]}"
