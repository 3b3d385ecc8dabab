"""What several commands take as the values of flags, checked; an error names the flag."""

from pathlib import Path

from podling.aiokit import durations
from podling.launcher.errors import LauncherError


class SettingsError(LauncherError):
    """Flags that are wrong, or do not go together; nothing was started."""


def duration(flag: str, text: str) -> float:
    """In seconds. Raises SettingsError."""
    try:
        return durations.parse(text)
    except ValueError as error:
        raise SettingsError(f"--{flag}: {error}") from None


def path(text: str) -> Path | None:
    """None if the flag is not given."""
    return Path(text).expanduser() if text else None


def check_pair(
    certificate_flag: str, certificate: Path | None, key_flag: str, key: Path | None
) -> None:
    """Raises SettingsError unless both are given, or neither."""
    if (certificate is None) != (key is None):
        there, missing = (
            (certificate_flag, key_flag) if key is None else (key_flag, certificate_flag)
        )
        raise SettingsError(f"--{there} needs --{missing} beside it")
