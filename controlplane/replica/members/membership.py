"""Who the members are: names and addresses beside the voters and learners that Raft counts. Pure.

A `Membership` is a value. It travels in `Configuration.context`, so that the log says who the
members are and how they are reached in one entry, and both change together or not at all.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from urllib.parse import urlsplit

from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.replica.errors import (
    MemberExists,
    MemberNotFound,
    MemberNotLearner,
    MemberRemoved,
    PeerUrlExists,
    TooManyLearners,
)

FORMAT = 1
MAX_LEARNERS = 1
"""As many as etcd allows unless told otherwise: each costs its leader a stream of the whole log."""


class UnknownMembership(ValueError):
    """Bytes that are no membership, or one that a newer program wrote."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member of the cluster."""

    name: str
    """Such as `replica-1`; empty until the member has started and told it."""
    peer_urls: tuple[str, ...]
    """Where the others reach it: `http://host:port`, or `https://host:port`."""
    client_urls: tuple[str, ...] = ()
    """Where clients reach it, as it has told; nothing here uses them."""
    learner: bool = False
    """Gets the log and has no vote (Raft thesis, section 4.2.1)."""

    @property
    def started(self) -> bool:
        """Whether it was ever heard of since it was added."""
        return bool(self.name)

    @property
    def addresses(self) -> tuple[str, ...]:
        """`host:port` of each peer URL."""
        return tuple(urlsplit(url).netloc or url for url in self.peer_urls)


@dataclass(frozen=True, slots=True)
class Membership:
    """All members, and those that were removed and may not come back."""

    members: Mapping[int, Member] = field(default_factory=dict)
    """By member id."""
    removed: frozenset[int] = frozenset()
    version: int = 0
    """Counts the changes, so that of two it can be said which is the newer."""

    def __post_init__(self) -> None:
        ordered = MappingProxyType(dict(sorted(self.members.items())))
        object.__setattr__(self, "members", ordered)

    def __hash__(self) -> int:
        return hash((tuple(self.members.items()), self.removed, self.version))

    @property
    def voters(self) -> frozenset[int]:
        return frozenset(number for number, each in self.members.items() if not each.learner)

    @property
    def learners(self) -> frozenset[int]:
        return frozenset(number for number, each in self.members.items() if each.learner)

    def find(self, peer_urls: Iterable[str]) -> int:
        """The id of the member with exactly these peer URLs, in any order; 0 if there is none."""
        wanted = set(peer_urls)
        return next(
            (number for number, each in self.members.items() if set(each.peer_urls) == wanted), 0
        )

    def with_added(self, member_id: int, member: Member) -> "Membership":
        """Raises MemberRemoved, MemberExists, PeerUrlExists or TooManyLearners."""
        if member_id in self.removed:
            raise MemberRemoved(f"member {member_id:x} was removed; its id cannot be used again")
        if member_id in self.members:
            raise MemberExists(f"member {member_id:x} is there already")
        self._check_urls(member_id, member.peer_urls)
        if member.learner and len(self.learners) >= MAX_LEARNERS:
            raise TooManyLearners(
                f"there are {len(self.learners)} learners, and {MAX_LEARNERS} are allowed: promote "
                "or remove one first"
            )
        return self._with({**self.members, member_id: member})

    def with_removed(self, member_id: int) -> "Membership":
        """Raises MemberNotFound, or MemberRemoved if that is the reason."""
        self.member(member_id)
        members = {number: each for number, each in self.members.items() if number != member_id}
        return replace(self._with(members), removed=self.removed | {member_id})

    def with_urls(self, member_id: int, peer_urls: tuple[str, ...]) -> "Membership":
        """The member is reached elsewhere now. Raises as `with_removed`, and PeerUrlExists."""
        member = self.member(member_id)
        self._check_urls(member_id, peer_urls)
        return self._with({**self.members, member_id: replace(member, peer_urls=peer_urls)})

    def with_promoted(self, member_id: int) -> "Membership":
        """The learner votes from now on. Raises as `with_removed`, and MemberNotLearner."""
        member = self.member(member_id)
        if not member.learner:
            raise MemberNotLearner(f"member {member_id:x} votes already")
        return self._with({**self.members, member_id: replace(member, learner=False)})

    def with_published(
        self, member_id: int, name: str, client_urls: tuple[str, ...]
    ) -> "Membership":
        """What a member tells of itself; the same value if that is nothing new."""
        member = self.member(member_id)
        told = replace(member, name=name, client_urls=client_urls)
        return self if told == member else self._with({**self.members, member_id: told})

    def member(self, member_id: int) -> Member:
        """Raises MemberRemoved or MemberNotFound."""
        if member_id in self.removed:
            raise MemberRemoved(f"member {member_id:x} was removed")
        if member_id not in self.members:
            raise MemberNotFound(f"there is no member {member_id:x}")
        return self.members[member_id]

    def _with(self, members: Mapping[int, Member]) -> "Membership":
        return Membership(members, self.removed, self.version + 1)

    def _check_urls(self, member_id: int, peer_urls: Iterable[str]) -> None:
        for number, other in self.members.items():
            if number != member_id and (taken := set(peer_urls) & set(other.peer_urls)):
                raise PeerUrlExists(
                    f"member {number:x} has the peer URL {', '.join(sorted(taken))}"
                )


def configuration_of(membership: Membership) -> Configuration:
    """What Raft is told of these members."""
    return Configuration(
        membership.voters, learners=membership.learners, context=encode(membership)
    )


def membership_of(configuration: Configuration, first: Membership) -> Membership:
    """Who the members of a configuration are; raises UnknownMembership.

    One without context is of a cluster that was begun by a program which knew no changes of
    membership, and has seen none since: its members are the `first` ones.
    """
    return decode(configuration.context) if configuration.context else first


def encode(membership: Membership) -> bytes:
    """The same bytes for equal memberships, everywhere."""
    value = {
        "format": FORMAT,
        "version": membership.version,
        "members": [
            {
                "id": number,
                "name": each.name,
                "peerURLs": each.peer_urls,
                "clientURLs": each.client_urls,
                "learner": each.learner,
            }
            for number, each in membership.members.items()
        ],
        "removed": sorted(membership.removed),
    }
    return json.dumps(value, separators=(",", ":")).encode()


def decode(data: bytes) -> Membership:
    """Raises UnknownMembership."""
    try:
        value = json.loads(data)
        if value["format"] != FORMAT:
            raise UnknownMembership(
                f"a membership of format {value['format']}, this program knows {FORMAT}: upgrade it"
            )
        members = {
            int(each["id"]): Member(
                str(each["name"]),
                tuple(map(str, each["peerURLs"])),
                tuple(map(str, each["clientURLs"])),
                bool(each["learner"]),
            )
            for each in value["members"]
        }
        return Membership(members, frozenset(map(int, value["removed"])), int(value["version"]))
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        if isinstance(error, UnknownMembership):
            raise
        raise UnknownMembership(f"not a membership: {error}") from error
