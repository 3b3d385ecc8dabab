"""Mutual TLS between members, and the check of who is calling.

A member's certificate has its name as common name, and the same name among its DNS names: the
caller checks the one it called by that name, whatever its address; the called checks the caller's
common name against the member that it says it is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import grpc

from podling.controlplane.replica.config import Member

CLUSTER_KEY = "podling-cluster"
FROM_KEY = "podling-from"
TO_KEY = "podling-to"
COMMANDS_KEY = "podling-commands"


@dataclass(frozen=True, slots=True)
class PeerTls:
    """PEM texts of one member."""

    ca: bytes
    """Signs the certificates of all members."""
    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        return "PeerTls(...)"

    @classmethod
    def from_files(cls, ca: Path, certificate: Path, key: Path) -> "PeerTls":
        """Raises OSError."""
        return cls(ca.read_bytes(), certificate.read_bytes(), key.read_bytes())

    def server_credentials(self) -> grpc.ServerCredentials:
        credentials: grpc.ServerCredentials = grpc.ssl_server_credentials(
            [(self.key, self.certificate)], root_certificates=self.ca, require_client_auth=True
        )
        return credentials

    def channel_credentials(self) -> grpc.ChannelCredentials:
        credentials: grpc.ChannelCredentials = grpc.ssl_channel_credentials(
            self.ca, self.key, self.certificate
        )
        return credentials


class Caller(NamedTuple):
    """A peer that may call."""

    member_id: int
    command_version: int
    """The newest version of commands that it understands."""


class CallRefused(Exception):
    """A call that is not from a member of this cluster to this member; the text says why."""


@dataclass(frozen=True, slots=True)
class Gate:
    """Decides who may call this member."""

    cluster_id: int
    member_id: int
    members: Mapping[int, Member]
    secure: bool
    """Whether callers have certificates."""
    command_version: int = 1
    """What this member tells of itself."""

    def call_metadata(self, to: int) -> tuple[tuple[str, str], ...]:
        """What this member says of itself when it calls `to`."""
        return (
            (CLUSTER_KEY, f"{self.cluster_id:x}"),
            (FROM_KEY, f"{self.member_id:x}"),
            (TO_KEY, f"{to:x}"),
            (COMMANDS_KEY, f"{self.command_version:x}"),
        )

    def admit(
        self, metadata: Iterable[tuple[str, Any]] | None, auth: Mapping[str, Iterable[bytes]]
    ) -> Caller:
        """Who is calling; raises CallRefused."""
        said = dict(metadata or ())
        cluster, caller, to = (_hex(said.get(key)) for key in (CLUSTER_KEY, FROM_KEY, TO_KEY))
        if cluster != self.cluster_id:
            raise CallRefused(f"it belongs to cluster {cluster:x}, not to {self.cluster_id:x}")
        if to != self.member_id:
            raise CallRefused(
                f"it looks for member {to:x}, and this is {self.member_id:x}: its list of members "
                "has a wrong address"
            )
        if caller not in self.members or caller == self.member_id:
            raise CallRefused(f"member {caller:x} is not a peer in this cluster")
        self._check_name(caller, auth)
        return Caller(caller, _hex(said.get(COMMANDS_KEY)))

    def _check_name(self, caller: int, auth: Mapping[str, Iterable[bytes]]) -> None:
        if not self.secure:
            return
        names = [name.decode(errors="replace") for name in auth.get("x509_common_name", ())]
        expected = self.members[caller].name
        if names != [expected]:
            shown = ", ".join(names) or "nobody"
            raise CallRefused(f"its certificate is for {shown}, not for {expected}")


def _hex(text: object) -> int:
    try:
        return int(str(text), 16)
    except ValueError:
        return 0
