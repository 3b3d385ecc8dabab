"""Objects as bytes, and how the store's bytes become the ones that clients see. Pure.

The store holds an object as JSON without its resourceVersion, because that is the revision of the
write itself. Everything written here begins like this, so that the revision can be put in without
decoding the object:

    {"kind":"Pod","apiVersion":"v1","metadata":{"name":...          as stored
    {"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"42","name":...    as served

Values that somebody else wrote (a kube-apiserver: protobuf, or JSON in another order) are decoded
and encoded anew. Layout of keys and values: kube-apiserver's storage package.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from podling.controlplane.apiserver.storage.interface import KeyValue
from podling.kube import field_selectors, protobuf
from podling.kube.kinds import Kind
from podling.kube.meta import Object

PROTOBUF_MAGIC = b"k8s\0"


class Undecodable(ValueError):
    """A value in the store that is no Kubernetes object."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """One object at one revision: its bytes, and beside them what it is selected by."""

    key: bytes
    """In the store."""
    revision: int
    value: bytes = field(repr=False)
    """JSON, resourceVersion included."""
    head: int = field(repr=False)
    """Where in `value` the text `"resourceVersion"` begins."""
    labels: Mapping[str, str] = field(repr=False)
    fields: Mapping[str, str] = field(repr=False)
    """Selectable fields of the kind."""

    def at(self, revision: int) -> bytes:
        """The same object with another resourceVersion: what a DELETED event shows."""
        rest = self.value.index(b'"', self.head + len(b'"resourceVersion":"')) + 1
        return b'%b"resourceVersion":"%d"%b' % (
            self.value[: self.head],
            revision,
            self.value[rest:],
        )

    def key_value(self) -> KeyValue:
        """As if read from the store, but without creation, count of writes and lease."""
        return KeyValue(self.key, self.value, 0, self.revision, 0, 0)

    def decode(self) -> Object:
        """A fresh copy that belongs to the caller."""
        decoded: Object = orjson.loads(self.value)
        return decoded


def dump(obj: Object) -> bytes:
    """The form in which the store keeps `obj`: resourceVersion and selfLink left out.

    Raises TypeError for values that JSON cannot express, such as integers beyond 64 bits.
    """
    metadata = {
        name: value
        for name, value in (obj.get("metadata") or {}).items()
        if name not in ("resourceVersion", "selfLink")
    }
    head = {"kind": obj["kind"], "apiVersion": obj["apiVersion"], "metadata": metadata}
    return orjson.dumps({**head, **{name: obj[name] for name in obj if name not in head}})


def load(kind: Kind, kv: KeyValue) -> Object:
    """The object in a value of the store, with its resourceVersion. Raises Undecodable."""
    try:
        obj = (
            protobuf.decode(kv.value)
            if kv.value.startswith(PROTOBUF_MAGIC)
            else orjson.loads(kv.value)
        )
    except ValueError as error:
        raise Undecodable(f"{kv.key.decode(errors='replace')}: {error}") from error
    if not isinstance(obj, dict) or not isinstance(obj.get("metadata"), dict):
        raise Undecodable(f"{kv.key.decode(errors='replace')}: not an object with metadata")
    obj["kind"], obj["apiVersion"] = kind.kind, kind.api_version
    obj["metadata"]["resourceVersion"] = str(kv.mod_revision)
    return obj


def encode(kind: Kind, kv: KeyValue) -> Encoded:
    """The bytes and the selectable parts of a value of the store. Raises Undecodable."""
    obj = load(kind, kv)
    served, head = serve(kind, kv, obj)
    return Encoded(
        key=kv.key,
        revision=kv.mod_revision,
        value=served,
        head=head,
        labels=obj["metadata"].get("labels") or {},
        fields=field_selectors.values(kind, obj),
    )


def serve(kind: Kind, kv: KeyValue, obj: Object | None = None) -> tuple[bytes, int]:
    """The JSON that clients see, and where in it `"resourceVersion"` begins.

    `obj` is the decoded value, where the caller has it already.
    """
    head = _head(kind)
    value = kv.value
    if not value.startswith(head):
        value = dump(obj if obj is not None else load(kind, kv))
    start = len(head)
    comma = b"" if value.startswith(b"}", start) else b","
    version = b'"resourceVersion":"%d"' % kv.mod_revision
    return b"".join((head, version, comma, value[start:])), start


def _head(kind: Kind) -> bytes:
    return f'{{"kind":"{kind.kind}","apiVersion":"{kind.api_version}","metadata":{{'.encode()
