"""What can be wrong with what a command on files was told. The texts are for its user."""


class OfflineError(Exception):
    """It cannot be done, and nothing was changed: says why, and what to do."""
