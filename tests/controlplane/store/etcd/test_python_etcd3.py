"""The Python client python-etcd3 (PyPI: etcd3), as its users run it, against three members.

It needs a protobuf of years ago, and so an environment of its own, made on first use in `.cache`.
Skipped if that cannot be made.
"""

import asyncio
import hashlib
import subprocess
import venv
from pathlib import Path

import pytest

from podling.controlplane.store.machine import snapshots
from tests.controlplane.store.members import PATIENCE, Members
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[4]
PLACE = ROOT / ".cache" / "python-etcd3"
PINS = ("etcd3==0.12.0", "protobuf==3.20.3", "tenacity==6.3.1", "grpcio")
TOUR = Path(__file__).with_name("python_etcd3.py")


#: The first run downloads.
pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def python() -> Path:
    """An interpreter that has the client."""
    marker = PLACE / "pins"
    if not marker.exists() or marker.read_text() != "\n".join(PINS):
        venv.create(PLACE, clear=True, with_pip=True)
        command = [PLACE / "bin" / "pip", "install", "--quiet", "--retries=1", *PINS]
        try:
            subprocess.run(command, capture_output=True, text=True, timeout=200, check=True)
        except subprocess.CalledProcessError as failed:
            pytest.skip(f"etcd3 cannot be installed: {failed.stderr.strip()[-200:]}")
        except subprocess.TimeoutExpired:
            pytest.skip("etcd3 cannot be installed within 200 s")
        marker.write_text("\n".join(PINS))
    return PLACE / "bin" / "python"


async def test_a_tour(python: Path, members: Members, tmp_path: Path) -> None:
    first, *_ = await members.start(3, listen=True)
    await until(lambda: len(first.store.status().replica.connected) == 2, "all are connected")
    saved = tmp_path / "snapshot"
    port = members.endpoint(first).rpartition(":")[2]
    process = await asyncio.create_subprocess_exec(
        python, TOUR, port, saved, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(2 * PATIENCE):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, output.decode()[-3000:]
    state, digest = saved.read_bytes()[:-32], saved.read_bytes()[-32:]
    assert hashlib.sha256(state).digest() == digest
    assert snapshots.read([state]).store.revision == first.store.revision
