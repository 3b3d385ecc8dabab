"""CRC-32C (Castagnoli; RFC 3720, appendix B.4), which the processor computes itself.

Where the library's compiled part is missing, its Python one gives the same sums, a thousand times
slower; it says so in a warning, which must not become an error where warnings are errors.
"""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", RuntimeWarning)
    import google_crc32c

SLOW = google_crc32c.implementation != "c"
"""Whether the compiled part is missing."""


def crc32c(data: bytes, value: int = 0) -> int:
    """The checksum of what `value` is that of, followed by `data`; called as `zlib.crc32` is."""
    checksum: int = google_crc32c.extend(value, data)
    return checksum
