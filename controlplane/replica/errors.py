"""What a replica may answer instead of a result.

ReplicaError
├── NoLeader           nothing was written; safe to try again
├── TooManyProposals   nothing was written; try again later
├── ProposalTooLarge   nothing was written; will never work
├── ProposalTimeout    outcome unknown: it may have been written, or be written later
├── ReplicaStopped     the replica is stopping; nothing was written
├── CannotJoin         the cluster was not found, or this member is not in it
├── NotForLearners     a learner proposes nothing and confirms no reads; ask a voter
└── MembershipRefused  a change of membership is not allowed; nothing was changed
    ├── MemberNotFound     there is no such member
    │   └── MemberRemoved  there was one, and it was removed for good
    ├── MemberExists       the id is taken
    ├── PeerUrlExists      another member has that peer URL
    ├── MemberNotLearner   only learners are promoted
    ├── LearnerNotReady    the learner has too little of the log yet; try again later
    ├── TooManyLearners    promote or remove one first
    ├── UnhealthyCluster   it would endanger the quorum while members are away
    ├── NotEnoughStarted   it would need votes of members that were never started
    └── OldMembers         a member runs a program that cannot read the change; upgrade it first
"""


class ReplicaError(Exception):
    """Base of all of them."""


class NoLeader(ReplicaError):
    """No leader was known, or none confirmed itself, within the time given; nothing was written."""


class TooManyProposals(ReplicaError):
    """More is in flight than the configuration allows; nothing was written."""


class ProposalTooLarge(ReplicaError):
    """The command is larger than the configuration allows; nothing was written."""


class ProposalTimeout(ReplicaError):
    """The proposal was handed to a leader, and whether it commits is not known.

    It may have been applied already or be applied later, so it must not be repeated blindly.
    """


class ReplicaStopped(ReplicaError):
    """The replica is stopping, or has been ended by a fault; nothing was written."""


class CannotJoin(ReplicaError):
    """No member of the cluster answers, or none knows of this member; it was not started."""


class NotForLearners(ReplicaError):
    """This member has no vote: it serves reads of its own state, which may be old, and no more."""


class MembershipRefused(ReplicaError):
    """A change of membership is not allowed; nothing was changed."""


class MemberNotFound(MembershipRefused):
    """There is no such member."""


class MemberRemoved(MemberNotFound):
    """The member was removed. Its id and its data directory cannot be used again."""


class MemberExists(MembershipRefused):
    """There is a member with that id."""


class PeerUrlExists(MembershipRefused):
    """Another member has that peer URL."""


class MemberNotLearner(MembershipRefused):
    """The member votes already."""


class LearnerNotReady(MembershipRefused):
    """The learner has not caught up with the leader: as a voter it would hold commits up."""


class TooManyLearners(MembershipRefused):
    """No more learners are allowed."""


class UnhealthyCluster(MembershipRefused):
    """Members are not connected, and the change could cost the quorum."""


class NotEnoughStarted(MembershipRefused):
    """Too many members were added and never started: the change could cost the quorum."""


class OldMembers(MembershipRefused):
    """A member runs an older program that does not know changes of membership."""
