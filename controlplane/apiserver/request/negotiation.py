"""Which form of an object a client reads and writes: Accept and Content-Type. Pure.

An Accept header is a list of clauses, each a media type with parameters that may ask for a
transformation, for example `application/json;as=Table;v=v1;g=meta.k8s.io`. The first clause that
can be served wins, higher `q` first. Source: k8s.io/apiserver `handlers/negotiation`; the types
of discovery are in the Kubernetes document "Kubernetes API concepts: aggregated discovery".
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import Enum

from podling.kube import errors

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"

META_GROUP = "meta.k8s.io"
DISCOVERY_GROUP = "apidiscovery.k8s.io"


class Shape(Enum):
    """What is made of an object before it is written out; the value is the `as` parameter."""

    PLAIN = ""
    TABLE = "Table"
    PARTIAL = "PartialObjectMetadata"
    PARTIAL_LIST = "PartialObjectMetadataList"
    DISCOVERY = "APIGroupDiscoveryList"


#: Versions of the group that a shape may be asked in.
_SHAPE_VERSIONS = {
    Shape.TABLE: (META_GROUP, ("v1", "v1beta1")),
    Shape.PARTIAL: (META_GROUP, ("v1", "v1beta1")),
    Shape.PARTIAL_LIST: (META_GROUP, ("v1", "v1beta1")),
    Shape.DISCOVERY: (DISCOVERY_GROUP, ("v2",)),
}

ONLY_PLAIN = frozenset({Shape.PLAIN})
OBJECT_SHAPES = frozenset({Shape.PLAIN, Shape.TABLE, Shape.PARTIAL, Shape.PARTIAL_LIST})
DISCOVERY_SHAPES = frozenset({Shape.PLAIN, Shape.DISCOVERY})


@dataclass(frozen=True, slots=True)
class Accepted:
    """The form of a response."""

    media_type: str
    shape: Shape = Shape.PLAIN
    version: str = ""
    """Version of the shape's group: `v1` of `meta.k8s.io`, say."""

    @property
    def content_type(self) -> str:
        """The Content-Type of the response; clients choose their decoder by it."""
        if self.shape is Shape.DISCOVERY:
            return f"{self.media_type};g={DISCOVERY_GROUP};v={self.version};as={self.shape.value}"
        return self.media_type


class PatchType(Enum):
    """The languages of a PATCH body; the value is the Content-Type."""

    JSON_PATCH = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC_MERGE = "application/strategic-merge-patch+json"
    APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True)
class _Clause:
    media_type: str
    parameters: dict[str, str]
    quality: float


def negotiate(
    accept: str,
    shapes: Collection[Shape] = OBJECT_SHAPES,
    media_types: Iterable[str] = (JSON,),
) -> Accepted:
    """The best form that the client takes and the caller can write.

    `media_types` are what the caller can write, its favourite first. Raises errors.NotAcceptable.
    """
    offered = tuple(media_types)
    if not accept.strip():
        return Accepted(offered[0])
    clauses = sorted(map(_clause, accept.split(",")), key=lambda clause: -clause.quality)
    for clause in clauses:
        if (accepted := _match(clause, shapes, offered)) is not None:
            return accepted
    raise errors.NotAcceptable(accepted=list(offered))


def body_type(content_type: str) -> str:
    """JSON, YAML or PROTOBUF for the Content-Type of a request body; none means JSON.

    Raises errors.UnsupportedMediaType.
    """
    media_type = _media_type(content_type)
    if media_type in ("", "*/*", JSON):
        return JSON
    if media_type in (YAML, PROTOBUF):
        return media_type
    raise errors.UnsupportedMediaType(accepted=[JSON, YAML, PROTOBUF])


def patch_type(content_type: str, supported: Collection[PatchType]) -> PatchType:
    """The language of a PATCH body. Raises errors.UnsupportedMediaType naming `supported`."""
    media_type = _media_type(content_type)
    for candidate in supported:
        if candidate.value == media_type:
            return candidate
    raise errors.UnsupportedMediaType(accepted=[candidate.value for candidate in supported])


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _clause(text: str) -> _Clause:
    media_type, *rest = text.split(";")
    pairs = (part.partition("=") for part in rest)
    parameters = {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}
    try:
        quality = float(parameters.get("q", "1"))
    except ValueError:
        quality = 0.0
    return _Clause(media_type.strip().lower(), parameters, quality)


def _match(clause: _Clause, shapes: Collection[Shape], offered: Iterable[str]) -> Accepted | None:
    if clause.quality <= 0:
        return None
    media_type = _offered_type(clause.media_type, offered)
    if media_type is None:
        return None
    wanted = clause.parameters.get("as", "")
    version, group = clause.parameters.get("v", ""), clause.parameters.get("g", "")
    for shape in shapes:
        if shape.value == wanted:
            if shape is Shape.PLAIN:
                return Accepted(media_type)
            shape_group, versions = _SHAPE_VERSIONS[shape]
            if group == shape_group and version in versions:
                return Accepted(media_type, shape, version)
    return None


def _offered_type(asked: str, offered: Iterable[str]) -> str | None:
    for media_type in offered:
        if asked in (media_type, "*/*", media_type.partition("/")[0] + "/*"):
            return media_type
    return None
