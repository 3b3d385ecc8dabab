"""Real gRPC streams with mutual TLS on loopback."""

import random
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from podling.controlplane.replica.members.membership import Member
from podling.controlplane.replica.peers import peer_link
from podling.controlplane.replica.peers.grpc_transport import GrpcTransport, GrpcTransportConfig
from podling.controlplane.replica.transport import TransportError
from tests.controlplane.replica.contract_transport import Recorder, TransportContract, append
from tests.controlplane.replica.linked_peers import Peers
from tests.ports import free_ports
from tests.waiting import until


@pytest.fixture
def peers(tmp_path: Path) -> Peers:
    return Peers.create(tmp_path, size=2)


@pytest.fixture
async def one(peers: Peers) -> AsyncIterator[GrpcTransport]:
    transport = peers.make(1, peers.issue("replica-1"))
    yield transport
    await transport.stop()


@pytest.fixture
async def two(peers: Peers) -> AsyncIterator[GrpcTransport]:
    transport = peers.make(2, peers.issue("replica-2"))
    yield transport
    await transport.stop()


class TestGrpcTransport(TransportContract):
    pass


class TestPlainGrpcTransport(TransportContract):
    @pytest.fixture
    async def one(self, peers: Peers) -> AsyncIterator[GrpcTransport]:
        transport = peers.make(1, None)
        yield transport
        await transport.stop()

    @pytest.fixture
    async def two(self, peers: Peers) -> AsyncIterator[GrpcTransport]:
        transport = peers.make(2, None)
        yield transport
        await transport.stop()


@pytest.fixture
def worried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that cannot be reached is complained about at once."""
    monkeypatch.setattr(peer_link, "WORRYING_FAILURES", 1)


class TestGrpcTransportWithTlsOnOneSide(TransportContract):
    """As while a cluster goes over to TLS."""

    @pytest.fixture
    def peers(self, tmp_path: Path) -> Peers:
        peers = Peers.create(tmp_path, size=2, by_host=True)
        (url,) = peers.members[1].peer_urls
        peers.members[1] = Member("replica-1", (url.replace("https", "http"),))
        return peers


async def test_a_member_listens_both_ways_at_once(tmp_path: Path) -> None:
    peers = Peers.create(tmp_path, size=3, by_host=True)
    plain = f"http://127.0.0.1:{free_ports(1)[0]}"
    (secure,) = peers.members[1].peer_urls
    to_plain = Peers({**peers.members, 1: Member("replica-1", (plain,))}, peers.issue, by_host=True)
    both = GrpcTransportConfig(
        0xC1, 1, peers.members, peers.issue("replica-1"), listen_urls=(plain, secure)
    )
    one = GrpcTransport(both, random.Random(1))
    two, three = to_plain.make(2, peers.issue("replica-2")), peers.make(3, peers.issue("replica-3"))
    for transport in (one, two, three):
        await transport.start(Recorder())
    await until(lambda: one.connected_peers() == {2, 3}, "both have come in")
    for transport in (one, two, three):
        await transport.stop()


async def refusal(
    impostor: GrpcTransport, two: GrpcTransport, caplog: pytest.LogCaptureFixture, words: str
) -> None:
    """Start both; the second one must refuse the first, in those words, and take nothing of it."""
    caplog.set_level("INFO")
    recorder = Recorder()
    await two.start(recorder)
    await impostor.start(Recorder())
    impostor.send([append(1)])
    try:
        await until(lambda: words in caplog.text, f"refused: {words}", lambda: caplog.text)
    finally:
        await impostor.stop()
        await two.stop()
    assert recorder.messages == []
    assert recorder.reached == []


async def test_a_certificate_of_another_name_is_refused(
    peers: Peers, two: GrpcTransport, caplog: pytest.LogCaptureFixture
) -> None:
    impostor = peers.make(1, peers.issue("somebody"))
    await refusal(
        impostor, two, caplog, "the caller's certificate is for somebody, not for replica-1"
    )


@pytest.mark.usefixtures("worried")
async def test_a_certificate_of_another_authority_is_refused(
    peers: Peers, two: GrpcTransport, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = Peers.create(tmp_path / "other", size=2).issue("replica-1")
    await refusal(peers.make(1, stranger), two, caplog, "no way to replica-2")


@pytest.mark.usefixtures("worried")
async def test_a_caller_without_a_certificate_is_refused(
    peers: Peers, two: GrpcTransport, caplog: pytest.LogCaptureFixture
) -> None:
    await refusal(peers.make(1, None), two, caplog, "no way to replica-2")


async def test_another_cluster_is_refused(
    peers: Peers, two: GrpcTransport, caplog: pytest.LogCaptureFixture
) -> None:
    impostor = peers.make(1, peers.issue("replica-1"), cluster=0xBAD)
    await refusal(impostor, two, caplog, "the caller belongs to cluster bad, not to c1")


async def test_a_caller_that_looks_for_another_member_is_refused(
    peers: Peers, two: GrpcTransport, caplog: pytest.LogCaptureFixture
) -> None:
    members = peers.members
    confused = Peers({1: members[1], 3: Member("replica-2", members[2].peer_urls)}, peers.issue)
    impostor = confused.make(1, peers.issue("replica-1"))
    await refusal(impostor, two, caplog, "the caller looks for member 3, and this is 2")


@pytest.mark.usefixtures("worried")
async def test_a_server_of_another_name_is_not_talked_to(
    peers: Peers, one: GrpcTransport, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever listens at a peer's address must have the peer's certificate."""
    impostor = peers.make(2, peers.issue("somebody"))
    await refusal(one, impostor, caplog, "no way to replica-2")


async def test_an_address_in_use_is_named(peers: Peers, one: GrpcTransport) -> None:
    with socket.socket() as taken:
        host, port = peers.members[1].addresses[0].split(":")
        taken.bind((host, int(port)))
        taken.listen()
        told = f"cannot listen for its peers on {host}:{port}: .*Address already in use"
        with pytest.raises(TransportError, match=told):
            await one.start(Recorder())
