"""The body of a PATCH applied to an object. Pure."""

from typing import Any

import orjson

from podling.controlplane.apiserver.request.negotiation import PatchType
from podling.kube import errors, json_patch, merge_patch, strategic_merge, strict_json
from podling.kube.kinds import Kind
from podling.kube.meta import Object

#: Server-side apply is not among them yet.
SUPPORTED = (PatchType.JSON_PATCH, PatchType.MERGE, PatchType.STRATEGIC_MERGE)


def decode(body: bytes) -> tuple[Any, list[str]]:
    """The patch, and the paths of its duplicate fields. Raises errors.BadRequest."""
    try:
        return strict_json.loads(body)
    except ValueError as error:
        raise errors.BadRequest(f"the patch cannot be read: {error}") from error


def apply(kind: Kind, patch_type: PatchType, patch: Any, doc: Object, type_name: str) -> Object:
    """The patched object, which shares nothing with `doc` or `patch`.

    Raises errors.BadRequest for a patch that is none, and a 422 for one that does not fit.
    """
    expected = list if patch_type is PatchType.JSON_PATCH else dict
    if not isinstance(patch, expected):
        raise errors.BadRequest(
            f"a patch of type {patch_type.value} must be a JSON "
            f"{'list of operations' if expected is list else 'object'}"
        )
    try:
        patched = _apply(patch_type, patch, doc, type_name)
    except ValueError as error:
        raise _does_not_fit(kind, doc, str(error)) from error
    result: Object = orjson.loads(orjson.dumps(patched))
    return result


def _apply(patch_type: PatchType, patch: Any, doc: Object, type_name: str) -> Object:
    if patch_type is PatchType.JSON_PATCH:
        return json_patch.apply(doc, patch)
    if patch_type is PatchType.MERGE:
        return merge_patch.apply(doc, patch)
    return strategic_merge.apply(doc, patch, type_name)


def _does_not_fit(kind: Kind, doc: Object, text: str) -> errors.ApiError:
    name = str((doc.get("metadata") or {}).get("name", ""))
    return errors.ApiError(
        f'the patch cannot be applied to {kind.resource} "{name}": {text}',
        code=422,
        reason=errors.Invalid.REASON,
        details={"name": name, "group": kind.group, "kind": kind.kind},
    )
