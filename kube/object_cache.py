"""The objects of one kind as bytes, with what is asked often beside them; pure.

A decoded object costs ten times its JSON, so only the JSON is kept, and the labels and indexed
values beside it. Objects are decoded when read, and whoever reads one may change it.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import orjson

from podling.kube import meta
from podling.kube.meta import Object

log = logging.getLogger(__name__)

#: The values under which an object is found in one index.
IndexFunction = Callable[[Object], Iterable[str]]


class Entry(NamedTuple):
    """One object."""

    encoded: bytes
    resource_version: str
    labels: Mapping[str, str]
    indexed: Mapping[str, tuple[str, ...]]
    """Index name -> values, for every index."""


class ObjectCache:
    """Keys (`namespace/name`, or `name`) to entries, and indexes from values to keys."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._functions: dict[str, IndexFunction] = {}
        self._indexes: dict[str, dict[str, set[str]]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def keys(self) -> list[str]:
        return list(self._entries)

    def get(self, key: str) -> Object | None:
        entry = self._entries.get(key)
        return None if entry is None else _decode(entry.encoded)

    def encoded(self, key: str) -> bytes | None:
        entry = self._entries.get(key)
        return None if entry is None else entry.encoded

    def labels(self, key: str) -> Mapping[str, str] | None:
        """Not to be written to."""
        entry = self._entries.get(key)
        return None if entry is None else entry.labels

    def resource_version(self, key: str) -> str:
        """Empty if there is no such object."""
        entry = self._entries.get(key)
        return "" if entry is None else entry.resource_version

    def add_index(self, name: str, function: IndexFunction) -> None:
        """Find objects by the values `function` gives. Adding the same index again is free.

        Raises ValueError if another function has the name.
        """
        if self._functions.setdefault(name, function) is not function:
            raise ValueError(f"there is another index called {name!r}")
        if name in self._indexes:
            return
        self._indexes[name] = {}
        for key, entry in tuple(self._entries.items()):
            self._set(key, entry)

    def by_index(self, name: str, value: str) -> list[str]:
        """The keys of the objects that have `value`, in order. Raises KeyError: no such index."""
        return sorted(self._indexes[name].get(value, ()))

    def entry(self, obj: Object, encoded: bytes | None = None) -> Entry:
        """What is kept of `obj`; nothing changes yet."""
        kept = self._entries.get(meta.key(obj))
        revision = meta.resource_version(obj)
        if kept is not None and revision and kept.resource_version == revision:
            return kept
        return Entry(
            orjson.dumps(obj) if encoded is None else encoded,
            revision,
            meta.labels(obj),
            {name: _values(name, function, obj) for name, function in self._functions.items()},
        )

    def put(self, obj: Object, encoded: bytes) -> str:
        """Keep this state; returns the key."""
        key = meta.key(obj)
        self._set(key, self.entry(obj, encoded))
        return key

    def remove(self, obj: Object) -> str:
        """Forget the object; returns the key."""
        key = meta.key(obj)
        self._drop(key)
        return key

    def replace(self, entries: Mapping[str, Entry]) -> list[str]:
        """Keep exactly `entries`; returns the keys that came, went or changed, in order."""
        gone = [key for key in self._entries if key not in entries]
        for key in gone:
            self._drop(key)
        changed = [
            key
            for key, entry in entries.items()
            if entry.resource_version != self.resource_version(key) or not entry.resource_version
        ]
        for key in changed:
            self._set(key, entries[key])
        return sorted(gone + changed)

    def _set(self, key: str, entry: Entry) -> None:
        self._drop(key)
        missing = self._functions.keys() - entry.indexed.keys()
        if missing:
            # The index was added after the entry was made.
            obj = _decode(entry.encoded)
            found = {name: _values(name, self._functions[name], obj) for name in missing}
            entry = entry._replace(indexed={**entry.indexed, **found})
        self._entries[key] = entry
        for name, values in entry.indexed.items():
            index = self._indexes[name]
            for value in values:
                index.setdefault(value, set()).add(key)

    def _drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        for name, values in entry.indexed.items():
            index = self._indexes[name]
            for value in values:
                keys = index.get(value)
                if keys is not None:
                    keys.discard(key)
                    if not keys:
                        del index[value]


def _values(name: str, function: IndexFunction, obj: Object) -> tuple[str, ...]:
    try:
        return tuple(function(obj))
    except Exception:
        # One strange object must not stop a cache from following all others.
        log.exception("index %s failed on %s", name, meta.key(obj))
        return ()


def _decode(encoded: bytes) -> Object:
    obj: Object = orjson.loads(encoded)
    return obj
