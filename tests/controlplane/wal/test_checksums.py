import subprocess
import sys

from podling.controlplane.wal import checksums

WITHOUT_COMPILED_PART = """
import sys
sys.modules["google_crc32c.cext"] = None
from podling.controlplane.wal import checksums
assert checksums.SLOW
assert checksums.crc32c(bytes(32)) == 0x8A9136AA
"""


def test_the_checksum_is_crc32c() -> None:
    # RFC 3720, appendix B.4: 32 bytes of zeros.
    assert checksums.crc32c(bytes(32)) == 0x8A9136AA
    first = checksums.crc32c(b"first")
    assert checksums.crc32c(b" and second", first) == checksums.crc32c(b"first and second")
    assert not checksums.SLOW


def test_without_the_compiled_part_it_is_slow_and_no_error() -> None:
    command = [sys.executable, "-W", "error", "-c", WITHOUT_COMPILED_PART]
    done = subprocess.run(command, capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
