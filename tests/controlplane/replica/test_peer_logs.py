"""What is said of a peer that comes and goes: enough to act on, and once."""

from pathlib import Path

import pytest

from podling.controlplane.replica.peers import peer_link
from podling.controlplane.replica.peers.grpc_transport import GrpcTransport
from tests.controlplane.replica.contract_transport import Recorder
from tests.controlplane.replica.linked_peers import Peers
from tests.waiting import until


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level("INFO")
    return caplog


def lines(said: pytest.LogCaptureFixture, words: str, level: str) -> int:
    return sum(words in each.getMessage() and each.levelname == level for each in said.records)


@pytest.fixture
def transports(tmp_path: Path) -> tuple[GrpcTransport, GrpcTransport]:
    peers = Peers.create(tmp_path, size=2)
    return peers.make(1, None), peers.make(2, None)


async def test_a_peer_that_starts_later_and_stops_again_is_no_reason_to_worry(
    transports: tuple[GrpcTransport, GrpcTransport], said: pytest.LogCaptureFixture
) -> None:
    one, two = transports
    recorder = Recorder()
    await one.start(recorder)
    await until(lambda: recorder.lost, "a first attempt has failed")
    await two.start(Recorder())
    await until(lambda: one.connected_peers(), "connected")
    await two.stop()
    await until(lambda: lines(said, "lost replica-2", "INFO"), "the loss is told")
    await one.stop()

    assert lines(said, "connected to replica-2", "INFO") == 1
    assert lines(said, "lost replica-2", "INFO") == 1
    assert lines(said, "replica-", "WARNING") == 0


async def test_a_peer_that_stays_away_is_complained_about_once(
    transports: tuple[GrpcTransport, GrpcTransport],
    said: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(peer_link, "WORRYING_FAILURES", 2)
    one, _ = transports
    recorder = Recorder()
    await one.start(recorder)
    await until(lambda: len(recorder.lost) > 4, "more attempts than that")
    await one.stop()
    assert lines(said, "no way to replica-2", "WARNING") == 1
