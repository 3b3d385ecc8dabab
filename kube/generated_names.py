"""Names with a random end, for objects whose author leaves the choice. Pure but for the dice.

The alphabet has no vowels and no characters that look alike, so that no name is a word
(apimachinery's `util/rand`).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
SUFFIX_LENGTH = 5
MAX_BASE = 63 - SUFFIX_LENGTH
"""A generated name is still a DNS label, whatever it was generated from."""


def generate(base: str, dice: "Random") -> str:
    """`base` (with its dash), cut to 58 characters, and five random ones."""
    return base[:MAX_BASE] + "".join(dice.choices(ALPHABET, k=SUFFIX_LENGTH))


def spelled(number: int) -> str:
    """A number in letters of the alphabet; for hashes in names."""
    return "".join(ALPHABET[int(digit)] for digit in str(number))
