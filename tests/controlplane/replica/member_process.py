"""A replica in a process of its own, to be killed: it leads, writes, prints what is acknowledged.

python -m tests.controlplane.replica.member_process CERTIFICATES FOLDER ADDRESS...
"""

import asyncio
import os
import random
import sys
from pathlib import Path

from podling.controlplane.replica.config import ReplicaConfig
from podling.controlplane.replica.members.membership import Member
from podling.controlplane.replica.peers.grpc_transport import GrpcTransport, GrpcTransportConfig
from podling.controlplane.replica.peers.peer_security import PeerTls
from podling.controlplane.replica.replica import Replica
from podling.controlplane.wal.disk import OsDisk
from tests.controlplane.replica.group import ELECTION_TIMEOUT, PATIENCE
from tests.controlplane.replica.ledger import Ledger


async def main() -> None:
    certificates, folder = Path(sys.argv[1]), Path(sys.argv[2])
    members = {n: Member(f"replica-{n}", (each,)) for n, each in enumerate(sys.argv[3:], start=1)}
    tls = PeerTls.from_files(
        certificates / "ca.crt", certificates / "replica-1.crt", certificates / "replica-1.key"
    )
    config = ReplicaConfig(
        "replica-1", 1, 0xC1, members, folder, 0.05, ELECTION_TIMEOUT, request_timeout=PATIENCE
    )
    replica = Replica(
        config,
        Ledger(),
        disk=OsDisk(),
        transport=GrpcTransport(GrpcTransportConfig(0xC1, 1, members, tls), random.Random(1)),
        dice=random.Random(),
        fatal=lambda *_: os._exit(1),
    )
    await replica.start()
    await replica.transfer_leadership(1)

    async def write(writer: int) -> None:
        for count in range(1_000_000):
            await replica.propose(b"%d-%d" % (writer, count))
            sys.stdout.write(f"{writer}-{count}\n")
            sys.stdout.flush()

    await asyncio.gather(*(write(number) for number in range(8)))


if __name__ == "__main__":
    asyncio.run(main())
