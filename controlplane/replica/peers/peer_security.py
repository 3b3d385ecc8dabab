"""Mutual TLS between members, and the check of who is calling.

Every member has a certificate of the same authority, and shows it as caller and as called. What
else must be true of it is a choice (`PeerTls.by_host`):

* by name (the launcher's way): the certificate has the member's name as common name, and the same
  name among its DNS names. The caller checks the one it called by that name, whatever its address;
  the called checks the caller's common name against the member that it says it is. The authority
  may sign other certificates, too.
* by host (etcd's way): the caller checks the one it called by the host of its peer URL, which must
  be among the certificate's names and addresses; the called takes every caller that has a
  certificate of the authority, or of those the ones with a common name that is allowed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import grpc
import grpc.aio

from podling.controlplane.replica.members.membership import Member
from podling.controlplane.replica.peers import wire

CLUSTER_KEY = "podling-cluster"
FROM_KEY = "podling-from"
TO_KEY = "podling-to"
COMMANDS_KEY = "podling-commands"
WIRE_KEY = "podling-wire"
MEMBERSHIP_KEY = "podling-membership"
NAME_KEY = "podling-name"
URLS_KEY = "podling-urls"
REFUSED_KEY = "podling-refused"
REMOVED = "removed"
"""Value of `REFUSED_KEY` for a caller that was removed."""

CHANNEL_OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.max_send_message_length", 64 * 1024 * 1024),
    # A peer whose machine is gone is noticed although it never says so.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),  # else 60 s, which count where a ping is on its way
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.enable_http_proxy", 0),
)

Metadata = tuple[tuple[str, str], ...]
#: What gRPC knows of a caller's certificate.
Certificate = Mapping[str, Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class PeerTls:
    """PEM texts of one member, and what is demanded of its peers."""

    ca: bytes
    """Signs the certificates of all members."""
    certificate: bytes
    key: bytes
    by_host: bool = False
    """Peers are known by the hosts in their URLs instead of by their names."""
    allowed_names: frozenset[str] = frozenset()
    """By host: the common names that callers may have; empty: any."""

    def __repr__(self) -> str:
        return "PeerTls(...)"

    @classmethod
    def from_files(
        cls,
        ca: Path,
        certificate: Path,
        key: Path,
        *,
        by_host: bool = False,
        allowed_names: Iterable[str] = (),
    ) -> "PeerTls":
        """Raises OSError."""
        texts = ca.read_bytes(), certificate.read_bytes(), key.read_bytes()
        return cls(*texts, by_host, frozenset(allowed_names))

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


class Way(NamedTuple):
    """Where a peer URL leads."""

    address: str
    """`host:port`"""
    tls: PeerTls | None
    """None: in the clear."""


def way_of(url: str, tls: PeerTls | None) -> Way:
    """The way that a peer URL describes, to a member with these certificates.

    By host, it is for the URL to say whether there is TLS, so that a cluster can go over to it
    member by member; by name all ways are alike.
    """
    parts = urlsplit(url)
    plain = tls is None or (tls.by_host and parts.scheme == "http")
    return Way(parts.netloc or url, None if plain else tls)


def open_channel(url: str, tls: PeerTls | None, name: str = "") -> grpc.aio.Channel:
    """A channel to a peer; its certificate is checked against `name`, or the host it is called by.

    Nothing connects before the first call.
    """
    address, tls = way_of(url, tls)
    if tls is None:
        return grpc.aio.insecure_channel(address, CHANNEL_OPTIONS)
    override = ("grpc.ssl_target_name_override", name)
    options = CHANNEL_OPTIONS if tls.by_host else (*CHANNEL_OPTIONS, override)
    return grpc.aio.secure_channel(address, tls.channel_credentials(), options)


class Caller(NamedTuple):
    """A peer that may call."""

    member_id: int
    command_version: int
    """The newest version of commands that it understands."""
    wire_version: int
    """The newest version of messages that it speaks."""
    membership_version: int
    """Of the newest list of members that it knows."""
    member: Member
    """As it says of itself."""


class CallRefused(Exception):
    """A call that is not from a member of this cluster to this member; the text says why."""


class CallerRemoved(CallRefused):
    """The caller was a member, and was removed."""


@dataclass(slots=True)
class Gate:
    """Decides who may call this member. Told of changes by who owns it."""

    cluster_id: int
    member_id: int
    tls: PeerTls | None
    """None: callers are believed."""
    members: Mapping[int, Member] = field(default_factory=dict)
    removed: frozenset[int] = frozenset()
    version: int = 0
    """Of `members` (see `Membership`)."""
    command_version: int = 1
    """What this member tells of itself."""
    wire_version: int = wire.VERSION
    """The newest version of messages that this member speaks."""

    def call_metadata(self, to: int) -> Metadata:
        """What this member says of itself when it calls `to`."""
        first: Metadata = (
            (CLUSTER_KEY, f"{self.cluster_id:x}"),
            (FROM_KEY, f"{self.member_id:x}"),
            (TO_KEY, f"{to:x}"),
            (COMMANDS_KEY, f"{self.command_version:x}"),
        )
        if self.wire_version == 1:
            return first
        me = self.members.get(self.member_id, Member("", ()))
        return (
            *first,
            (WIRE_KEY, f"{self.wire_version:x}"),
            (MEMBERSHIP_KEY, f"{self.version:x}"),
            (NAME_KEY, me.name),
            (URLS_KEY, ",".join(me.peer_urls)),
        )

    def answer_metadata(self) -> Metadata:
        """What this member says of itself when it is called."""
        return ((WIRE_KEY, f"{self.wire_version:x}"),) if self.wire_version > 1 else ()

    def common_version(self, metadata: Iterable[tuple[str, Any]] | None) -> int:
        """The version to speak with a peer that says this of itself."""
        theirs = _hex(dict(metadata or ()).get(WIRE_KEY)) or 1
        return min(self.wire_version, theirs)

    def admit(self, metadata: Iterable[tuple[str, Any]] | None, auth: Certificate) -> Caller:
        """Who is calling; raises CallRefused."""
        caller = self._caller(dict(metadata or ()))
        self.check(caller)
        self._check_certificate(caller.member_id, auth)
        return caller

    def check(self, caller: Caller) -> None:
        """Whether it is a member, or may be one by a newer list; raises CallRefused."""
        number = caller.member_id
        if number in self.removed:
            raise CallerRemoved(f"member {number:x} was removed from the cluster")
        newer = caller.membership_version > self.version and not self._by_name
        if number == self.member_id or (number not in self.members and not newer):
            raise CallRefused(f"member {number:x} is not a peer in this cluster")

    def check_stranger(self, auth: Certificate) -> None:
        """Whether somebody who is no member yet may ask who the members are; raises CallRefused."""
        if self._by_name:
            names = _names(auth)
            if names not in [[each.name] for each in self.members.values()]:
                raise CallRefused(
                    f"the caller's certificate is for {_shown(names)}, who is no member"
                )
        else:
            self._check_allowed(auth)

    @property
    def _by_name(self) -> bool:
        return self.tls is not None and not self.tls.by_host

    def _caller(self, said: Mapping[str, Any]) -> Caller:
        cluster, caller, to = (_hex(said.get(key)) for key in (CLUSTER_KEY, FROM_KEY, TO_KEY))
        if cluster != self.cluster_id:
            raise CallRefused(
                f"the caller belongs to cluster {cluster:x}, not to {self.cluster_id:x}"
            )
        if to != self.member_id:
            raise CallRefused(
                f"the caller looks for member {to:x}, and this is {self.member_id:x}: its list "
                "of members has a wrong address"
            )
        urls = str(said.get(URLS_KEY, ""))
        return Caller(
            caller,
            _hex(said.get(COMMANDS_KEY)),
            _hex(said.get(WIRE_KEY)) or 1,
            _hex(said.get(MEMBERSHIP_KEY)),
            Member(str(said.get(NAME_KEY, "")), tuple(url for url in urls.split(",") if url)),
        )

    def _check_certificate(self, caller: int, auth: Certificate) -> None:
        if self._by_name:
            expected = self.members[caller].name
            if _names(auth) != [expected]:
                shown = _shown(_names(auth))
                raise CallRefused(f"the caller's certificate is for {shown}, not for {expected}")
        else:
            self._check_allowed(auth)

    def _check_allowed(self, auth: Certificate) -> None:
        allowed = frozenset() if self.tls is None else self.tls.allowed_names
        names = _names(auth)
        if allowed and not allowed.intersection(names):
            expected = ", ".join(sorted(allowed))
            raise CallRefused(
                f"the caller's certificate is for {_shown(names)}, not for {expected}"
            )


def _names(auth: Certificate) -> list[str]:
    return [name.decode(errors="replace") for name in auth.get("x509_common_name", ())]


def _shown(names: list[str]) -> str:
    return ", ".join(names) or "nobody"


def _hex(text: object) -> int:
    try:
        return int(str(text), 16)
    except ValueError:
        return 0
