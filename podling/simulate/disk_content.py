"""The bytes of one file on a simulated disk: written, durable, damaged."""

import random

SECTOR = 512
"""Bytes that a disk writes as a whole."""


class Content:
    """One file's bytes, as every reader sees them and as they are on the disk."""

    def __init__(self) -> None:
        self.cached = bytearray()
        self._durable = bytearray()
        self._dirty: set[int] = set()
        """Sectors of `cached` that may differ from `_durable`."""
        self._flipped: dict[int, int] = {}
        """Damage: which bits of which byte are read as what they are not."""

    def read(self, start: int = 0, end: int | None = None) -> bytes:
        """What a reader is given."""
        data = self.cached[start:end]
        for at, mask in self._flipped.items():
            if start <= at < start + len(data):
                data[at - start] ^= mask
        return bytes(data)

    def read_up_to_damage(self) -> bytes:
        """Zeros from the first damaged sector on."""
        if not self._flipped:
            return self.read()
        intact = min(self._flipped) // SECTOR * SECTOR
        return self.read(0, intact).ljust(len(self.cached), b"\0")

    @property
    def written(self) -> int:
        """Bytes up to the zeros at the end."""
        return len(self.cached.rstrip(b"\0"))

    @property
    def is_damaged(self) -> bool:
        return bool(self._flipped)

    def flip(self, offset: int, mask: int) -> None:
        self._flipped[offset] = self._flipped.get(offset, 0) ^ mask

    def mend(self) -> None:
        self._flipped.clear()

    def write(self, offset: int, data: bytes) -> None:
        end = offset + len(data)
        for at in [at for at in self._flipped if offset <= at < end]:
            del self._flipped[at]
        if offset > len(self.cached):
            self._dirty.update(_sectors(len(self.cached), offset))
        self.cached.extend(bytes(max(end - len(self.cached), 0)))
        self.cached[offset:end] = data
        self._dirty.update(_sectors(offset, end))

    def truncate(self, size: int) -> None:
        for bytes_of in (self.cached, self._durable):
            del bytes_of[size:]
        if size > len(self.cached):
            self.write(size, b"")
        self._dirty = {sector for sector in self._dirty if sector * SECTOR < size}
        self._flipped = {at: mask for at, mask in self._flipped.items() if at < size}

    def sync(self, offset: int = 0, end: int | None = None) -> None:
        """Make the sectors between durable."""
        end = len(self.cached) if end is None else end
        self._write_back(self._dirty.intersection(_sectors(offset, end)))
        self._durable.extend(bytes(max(end - len(self._durable), 0)))

    def fail_sync(self, dice: random.Random) -> None:
        """Some sectors reach the disk; none is known to be dirty any more."""
        self._write_back(self._some_dirty(dice))
        self._dirty.clear()

    def lose(self, dice: random.Random) -> None:
        """The power goes."""
        size = len(self.cached)
        self._write_back(self._some_dirty(dice))
        if dice.random() < 0.3:
            # The size is metadata, and may survive without the bytes.
            self._durable.extend(bytes(max(size - len(self._durable), 0)))
        self.cached = bytearray(self._durable)
        self._dirty.clear()

    def _some_dirty(self, dice: random.Random) -> set[int]:
        """None, all, those before a point, or any of them."""
        dirty = sorted(self._dirty)
        match dice.randrange(4):
            case 0:
                return set()
            case 1:
                return set(dirty)
            case 2:
                return set(dirty[: dice.randrange(len(dirty) + 1)])
            case _:
                return {sector for sector in dirty if dice.random() < 0.5}

    def _write_back(self, sectors: set[int]) -> None:
        if not sectors:
            return
        end = min((max(sectors) + 1) * SECTOR, len(self.cached))
        self._durable.extend(bytes(max(end - len(self._durable), 0)))
        for sector in sectors:
            start = sector * SECTOR
            data = self.cached[start : start + SECTOR]
            self._durable[start : start + len(data)] = data
        self._dirty -= sectors


def _sectors(start: int, end: int) -> range:
    return range(start // SECTOR, -(-end // SECTOR))
