"""Where identifiers and secrets come from: the only file that may draw them from the system.

Whoever needs one takes an `IdSource` (or a `random.Random`) in the constructor, so that a
simulation can hand in a seeded one.
"""

import random
import secrets
import uuid
from collections.abc import Callable

#: Returns a new unique identifier, for example an RFC 9562 UUID.
IdSource = Callable[[], str]


def random_uuid() -> str:
    """A random UUID (RFC 9562, version 4) in its 36-character form."""
    return str(uuid.uuid4())


def random_u64() -> int:
    """A random, non-zero, unsigned 64-bit number: cluster, member and request ids."""
    return secrets.randbits(64) or 1


def system_dice() -> random.Random:
    """Dice seeded by the system, for whoever draws jitter or breaks ties in the real world."""
    return random.Random(secrets.randbits(64))
