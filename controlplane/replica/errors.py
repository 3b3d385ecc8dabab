"""What a replica may answer instead of a result.

ReplicaError
├── NoLeader           nothing was written; safe to try again
├── TooManyProposals   nothing was written; try again later
├── ProposalTooLarge   nothing was written; will never work
├── ProposalTimeout    outcome unknown: it may have been written, or be written later
└── ReplicaStopped     the replica is stopping; nothing was written
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
