"""The base of everything that the launcher refuses or fails to do."""


class LauncherError(Exception):
    """Its text tells a person what happened, and what to do; the command line prints just that."""
