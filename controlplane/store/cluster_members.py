"""The members of the cluster, as clients see and change them (etcd: server/etcdserver, member.go).

The replica keeps and changes them; this puts its refusals into etcd's words, and checks and orders
what clients give.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

from podling.controlplane.replica import errors as replica_errors
from podling.controlplane.replica.members import bootstrap
from podling.controlplane.replica.members.membership import Member, Membership
from podling.controlplane.replica.replica import Replica
from podling.controlplane.store import errors
from podling.controlplane.store.proposer import refusal_of

_SCHEMES = frozenset({"http", "https"})

_ERRORS: dict[type[replica_errors.ReplicaError], type[errors.StoreError]] = {
    replica_errors.MemberNotFound: errors.MemberNotFound,
    # etcd does not tell who was removed from who never was.
    replica_errors.MemberRemoved: errors.MemberNotFound,
    replica_errors.MemberExists: errors.MemberExists,
    replica_errors.PeerUrlExists: errors.PeerUrlExists,
    replica_errors.MemberNotLearner: errors.MemberNotLearner,
    replica_errors.LearnerNotReady: errors.LearnerNotReady,
    replica_errors.TooManyLearners: errors.TooManyLearners,
    replica_errors.UnhealthyCluster: errors.UnhealthyCluster,
    replica_errors.NotEnoughStarted: errors.NotEnoughStarted,
    replica_errors.MembershipRefused: errors.NotEnoughStarted,
    replica_errors.OldMembers: errors.NotCapable,
}


class Added(NamedTuple):
    """A member that was added, and all members with it."""

    member_id: int
    membership: Membership


class ClusterMembers:
    """Lists and changes them. Every method raises StoreError, in etcd's words."""

    def __init__(self, replica: Replica, new_id: Callable[[], int], *, timeout: float) -> None:
        """`new_id` draws random numbers; `timeout` bounds each change, in seconds."""
        self._replica = replica
        self._new_id = new_id
        self._timeout = timeout

    @property
    def now(self) -> Membership:
        """As this member knows them, which may lag behind."""
        return self._replica.membership

    @property
    def own_id(self) -> int:
        """Member id of this one."""
        return self._replica.member_id

    @property
    def others(self) -> list[int]:
        """Member ids of all but this one."""
        return sorted(self._replica.membership.members.keys() - {self._replica.member_id})

    @property
    def leader(self) -> int:
        """Member id of the leader; 0 if none is known, or while this member does not run."""
        node = self._replica.node
        return 0 if node is None else node.leader

    @property
    def term(self) -> int:
        """Raft's, as this member knows it; 0 while it does not run."""
        node = self._replica.node
        return 0 if node is None else node.term

    @property
    def is_learner(self) -> bool:
        """Whether this member has no vote, so that it serves its own state only."""
        member = self._replica.membership.members.get(self._replica.member_id)
        return member is not None and member.learner

    async def add(self, peer_urls: Iterable[str], *, learner: bool) -> Added:
        """Add a member that has yet to be started. Its id is derived as by etcd, which takes the
        time where a random number is taken here.

        Raises BadMemberUrls, PeerUrlExists, TooManyLearners, NotEnoughStarted, UnhealthyCluster.
        """
        urls = _checked(peer_urls)
        member_id = bootstrap.member_id_of(urls, f"{self._new_id():x}")
        member = Member("", urls, learner=learner)
        change = self._replica.add_member(member_id, member, timeout=self._timeout)
        return Added(member_id, await self._changed(change))

    async def remove(self, member_id: int) -> Membership:
        """Raises MemberNotFound, NotEnoughStarted and UnhealthyCluster."""
        change = self._replica.remove_member(member_id, timeout=self._timeout)
        return await self._changed(change)

    async def update(self, member_id: int, peer_urls: Iterable[str]) -> Membership:
        """Raises MemberNotFound, BadMemberUrls and PeerUrlExists."""
        urls = _checked(peer_urls)
        change = self._replica.update_member(member_id, urls, timeout=self._timeout)
        return await self._changed(change)

    async def promote(self, member_id: int) -> Membership:
        """Raises MemberNotFound, MemberNotLearner, LearnerNotReady and NotEnoughStarted."""
        change = self._replica.promote_member(member_id, timeout=self._timeout)
        return await self._changed(change)

    async def publish(self, name: str, client_urls: tuple[str, ...]) -> Membership:
        """Tell the others what this member is called and where clients reach it."""
        change = self._replica.publish(name, client_urls, timeout=self._timeout)
        return await self._changed(change)

    async def _changed(self, change: Awaitable[Membership]) -> Membership:
        try:
            return await change
        except replica_errors.ReplicaError as error:
            refusal = _ERRORS.get(type(error))
            raise (refusal_of(error) if refusal is None else refusal()) from error


def _checked(peer_urls: Iterable[str]) -> tuple[str, ...]:
    """In order. Raises BadMemberUrls unless each is a scheme, a host and a port, and no more."""
    urls = tuple(sorted(url.strip() for url in peer_urls))
    if not urls or not all(map(_is_member_url, urls)):
        raise errors.BadMemberUrls
    return urls


def _is_member_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    extra = parts.path or parts.query or parts.fragment or parts.username is not None
    return parts.scheme in _SCHEMES and bool(parts.hostname) and port is not None and not extra
