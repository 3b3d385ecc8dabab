"""Who the members are, as one replica knows it: what is applied, and what is in force already.

A change of membership is in force from when it is in the log (Raft paper, section 6), before it is
committed; until then it may be taken back. So whoever is in either list is reached and listened to,
and nobody is told that it was removed before that is certain.
"""

from collections.abc import Callable, Mapping

from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.replica.members.membership import Member, Membership, membership_of

#: Told the members whenever a change of them was applied.
OnMembership = Callable[[Membership], None]


class Roster:
    """Keeps the newest membership, tells those who want to know."""

    def __init__(self, member_id: int, first: Mapping[int, Member]) -> None:
        self._member_id = member_id
        self._first = Membership(first)
        self.configuration = Configuration()
        """As of the last entry applied; what a change of it is based on."""
        self.membership = self._first
        """The same, with names and addresses."""
        self._reached: Mapping[int, Member] = first
        self._subscribers: list[OnMembership] = []

    @property
    def removed(self) -> bool:
        """Whether this replica was removed."""
        return self._member_id in self.membership.removed

    @property
    def learner(self) -> bool:
        """Whether this replica has no vote."""
        members = self.membership.members
        me = members.get(self._member_id) or self._first.members.get(self._member_id)
        return me is not None and me.learner

    def subscribe(self, callback: OnMembership) -> Callable[[], None]:
        """Returns the way to end it."""
        self._subscribers.append(callback)

        def unsubscribe() -> None:
            if callback in self._subscribers:
                self._subscribers.remove(callback)

        return unsubscribe

    def begin(self, configuration: Configuration) -> None:
        """A start found this configuration committed."""
        self.configuration = configuration
        self.membership = self._membership_of(configuration)

    def applied(self, configuration: Configuration) -> None:
        """A change was applied, or a leader's snapshot came with other members.

        One that is older than what is known comes when a start applies its log again.
        """
        before, membership = self.membership, self._membership_of(configuration)
        if membership.version < before.version:
            return
        self.configuration, self.membership = configuration, membership
        if membership != before:
            for callback in list(self._subscribers):
                callback(membership)

    def reached(self, in_force: Configuration) -> Mapping[int, Member]:
        """Whom to reach and to listen to, this replica among them."""
        members = dict(self.membership.members) | dict(self._membership_of(in_force).members)
        for number in in_force.members - members.keys():
            # An old voter of a joint configuration: it is in no list any more, and still votes.
            if number in self._reached:
                members[number] = self._reached[number]
        if self._member_id not in members and not self.removed:
            # It is joining, and learns who the members are from those that it was told of.
            members = dict(self._first.members) | members
        self._reached = members
        return members

    def newest(self, in_force: Configuration) -> Membership:
        """The newest membership known, committed or not."""
        return max(self.membership, self._membership_of(in_force), key=lambda each: each.version)

    def _membership_of(self, configuration: Configuration) -> Membership:
        if not configuration.members:
            return Membership()
        return membership_of(configuration, self._first)
