"""Does a body have the structure of its kind? Pure.

What a body may get wrong, and what becomes of it: a value of the wrong type is a 400; a missing
field a 422; unknown and duplicate fields are a 400, a warning or nothing, as the client wished, and
are dropped. Source: the Kubernetes document "Kubernetes API concepts", section "Field validation".
"""

from collections.abc import Sequence

from podling.controlplane.apiserver.request.options import IGNORE, STRICT
from podling.kube import errors, meta, schema, strict_json
from podling.kube.kinds import Kind
from podling.kube.meta import Object


def accept(
    kind: Kind,
    obj: Object,
    *,
    validation: str,
    duplicates: Sequence[str] = (),
    type_name: str | None = None,
) -> list[str]:
    """Bring `obj` into the form that is stored; the warnings that its author should get.

    `type_name` is the type of a subresource's body, where it differs from the kind's own. Raises
    errors.BadRequest or errors.Invalid.
    """
    findings = schema.check(type_name or kind, obj)
    if findings.type_errors:
        listed = ", ".join(str(error) for error in findings.type_errors)
        raise errors.BadRequest(
            f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {listed}'
        )
    wrong = schema.unknown_field_texts(findings)
    wrong += [f'duplicate field "{path}"' for path in duplicates]
    if wrong and validation == STRICT:
        raise errors.BadRequest(strict_json.strict_error(findings.unknown, list(duplicates)))
    if findings.errors:
        raise errors.Invalid(kind=kind, name=meta.name(obj), errors=findings.errors)
    return [] if validation == IGNORE else wrong
