"""The flags of `podling store` from a file in etcd's form (`--config-file`; etcd: server/embed).

    name: a
    initial-cluster: a=http://10.0.0.1:2380,b=http://10.0.0.2:2380
    client-transport-security:
      cert-file: a.crt
      client-cert-auth: true
    log-outputs: [stderr]

YAML, whose keys are the names of the flags; those about TLS are in a section of their own, without
`peer-`. Stricter than etcd, which passes over keys that it does not know.

Imported when there is such a file: the library takes its time.
"""

from collections.abc import Iterator, Mapping
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

import yaml

from podling.launcher.errors import LauncherError
from podling.launcher.store.store_flags import CLIENT_SECURITY, PEER_SECURITY, StoreFlags
from podling.launcher.store.store_settings import StoreSettings, settings

SECTIONS = {
    CLIENT_SECURITY: "client-transport-security",
    PEER_SECURITY: "peer-transport-security",
}
LISTS = ("log_outputs",)
"""What is a list in such a file, and parted by commas on the command line."""
KINDS: Mapping[type, tuple[type, str]] = {
    bool: (bool, "true or false"),
    int: (int, "a number"),
    str: (str, "text; in quotes, if it looks like something else"),
}

#: Section (or none) and key.
Place = tuple[str, str]


class ConfigFileError(LauncherError):
    """The file cannot be read, or says what cannot be; the text names it and the key."""


def settings_of(path: Path) -> StoreSettings:
    """Raises ConfigFileError."""
    flags, given = read(path)
    try:
        return settings(flags, given)
    except LauncherError as error:
        raise ConfigFileError(f"{path}: {error}") from None


def read(path: Path) -> tuple[StoreFlags, set[str]]:
    """All flags, and the names of those that are in the file. Raises ConfigFileError."""
    places = dict(_places())
    values: dict[str, Any] = {}
    for place, value in _entries(path):
        flag = places.get(place)
        if flag is None:
            raise ConfigFileError(f"{path}: {_unknown(place, places)}")
        if flag.name in values:
            raise ConfigFileError(f"{path}: {_shown(place)} is there twice, by two names")
        if value is not None:
            values[flag.name] = _checked(path, place, flag, value)
    return StoreFlags(**values), set(values)


def _places() -> Iterator[tuple[Place, "Field[Any]"]]:
    """Where each flag stands in a file; those with former names have several places."""
    for flag in fields(StoreFlags):
        section = SECTIONS.get(flag.metadata["section"], "")
        for name in (flag.name.replace("_", "-"), *flag.metadata["aliases"]):
            key = name.removeprefix("peer-") if section else name
            yield (section, key), flag
            if key == "cert-allowed-cn":
                yield (section, "allowed-cn"), flag


def _entries(path: Path) -> Iterator[tuple[Place, Any]]:
    try:
        content = yaml.load(path.read_bytes(), Loader=_Loader)
    except OSError as error:
        raise ConfigFileError(f"--config-file: {error}") from None
    except yaml.MarkedYAMLError as error:
        # Without the line itself: there may be a secret in it.
        line = "" if error.problem_mark is None else f", line {error.problem_mark.line + 1}"
        raise ConfigFileError(f"{path}{line}: {error.problem or 'not YAML'}") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise ConfigFileError(f"{path} is not YAML") from None
    for key, value in _mapping(path, "the file", content).items():
        if key in SECTIONS.values():
            for inner, innermost in _mapping(path, key, value).items():
                yield (key, str(inner)), innermost
        else:
            yield ("", str(key)), value


def _mapping(path: Path, what: str, value: Any) -> Mapping[Any, Any]:
    if value is not None and not isinstance(value, dict):
        raise ConfigFileError(f"{path}: {what} must have lines of the form `flag: value`")
    return value or {}


def _checked(path: Path, place: Place, flag: "Field[Any]", value: Any) -> Any:
    if flag.name in LISTS and isinstance(value, list):
        if all(isinstance(each, str) for each in value):
            return ",".join(value)
        raise ConfigFileError(f"{path}: {_shown(place)} must be a list of texts")
    kind, words = KINDS[type(flag.default)]
    if type(value) is not kind:
        raise ConfigFileError(f"{path}: {_shown(place)} must be {words}")
    return value


def _unknown(place: Place, places: Mapping[Place, object]) -> str:
    elsewhere = [
        section
        for section in SECTIONS.values()
        if (section, place[1].removeprefix("peer-")) in places
    ]
    if not place[0] and elsewhere:
        return f"{place[1]} belongs into the section {' or '.join(elsewhere)}"
    return f"there is no flag {_shown(place)} here"


def _shown(place: Place) -> str:
    return ".".join(part for part in place if part)


class _Loader(yaml.SafeLoader):
    """Refuses a key that comes twice; the library would take the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.MarkedYAMLError(
                    problem=f"{key} is there twice", problem_mark=node.start_mark
                )
        return super().construct_mapping(node, deep)
