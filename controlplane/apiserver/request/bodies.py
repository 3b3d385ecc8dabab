"""The body of a request into an object: JSON, YAML or Kubernetes' protobuf. Pure."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import yaml

from podling.controlplane.apiserver.request import negotiation
from podling.kube import errors, protobuf, strict_json
from podling.kube.meta import Object

MAX_BODY = 3 << 20
"""Bytes; kube-apiserver's limit."""


class Decoded(NamedTuple):
    """A body, and what a parser would have passed over in silence."""

    obj: Object
    duplicates: Sequence[str]
    """Paths of fields that occur more than once."""


class _Loader(yaml.SafeLoader):
    """YAML as JSON has it: dates are text, and nothing stands in two places at once."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError("aliases are not accepted here")
        return super().compose_node(parent, index)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def decode(content_type: str, body: bytes, *, find_duplicates: bool = True) -> Decoded:
    """The object in a body. Raises BadRequest, UnsupportedMediaType or RequestEntityTooLarge."""
    media_type = negotiation.body_type(content_type)
    if len(body) > MAX_BODY:
        raise errors.RequestEntityTooLarge(limit=MAX_BODY)
    if not body:
        raise errors.BadRequest("the body of the request is empty, an object was expected")
    value, duplicates = _parse(media_type, body, find_duplicates)
    if not isinstance(value, dict):
        raise errors.BadRequest("the body of the request must be an object")
    return Decoded(value, duplicates)


def decode_optional(content_type: str, body: bytes) -> Object:
    """The options in the body of a DELETE, which may be empty."""
    return decode(content_type, body, find_duplicates=False).obj if body else {}


def _parse(media_type: str, body: bytes, find_duplicates: bool) -> tuple[Any, Sequence[str]]:
    try:
        if media_type == negotiation.PROTOBUF:
            return protobuf.decode(body), ()
        if media_type == negotiation.YAML:
            return yaml.load(body, Loader=_Loader), ()
        return strict_json.loads(body, find_duplicates=find_duplicates)
    except (ValueError, yaml.YAMLError) as error:
        raise errors.BadRequest(f"the body of the request cannot be read: {error}") from error
    except RecursionError as error:
        raise errors.BadRequest("the body of the request is nested too deeply") from error
