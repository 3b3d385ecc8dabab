"""Validation of metadata, the same for all kinds but for the form of the name.

Source: k8s.io/apimachinery `api/validation/objectmeta.go`, its texts included.
"""

from collections.abc import Callable, Mapping

from podling.kube import meta, names
from podling.kube.errors import FieldError
from podling.kube.kinds import Kind
from podling.kube.meta import Object

#: Says what is wrong with a name; [] if nothing is.
NameRule = Callable[[str], list[str]]

TOTAL_ANNOTATION_BYTES = 256 * 1024
IMMUTABLE = "field is immutable"
NOT_NEGATIVE = "must be greater than or equal to 0"

ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"


def validate_metadata(obj: Object, kind: Kind, name_rule: NameRule) -> list[FieldError]:
    """What is wrong with the metadata of an object of its own."""
    errors = _validate_name(obj, name_rule)
    namespace = meta.namespace(obj)
    if not kind.namespaced:
        if namespace:
            errors.append(FieldError.forbidden("metadata.namespace", "not allowed on this type"))
    elif not namespace:
        errors.append(FieldError.required("metadata.namespace"))
    else:
        errors += [
            FieldError.invalid("metadata.namespace", namespace, text)
            for text in names.dns_label_errors(namespace)
        ]
    errors += validate_labels(meta.labels(obj), "metadata.labels")
    errors += validate_annotations(meta.annotations(obj), "metadata.annotations")
    errors += _validate_owners(obj)
    errors += _validate_finalizers(obj)
    return errors


def validate_template_metadata(template: Object, path: str) -> list[FieldError]:
    """Labels and annotations of a pod template; it has no name of its own."""
    return [
        *validate_labels(meta.labels(template), f"{path}.labels"),
        *validate_annotations(meta.annotations(template), f"{path}.annotations"),
    ]


def validate_labels(labels: Mapping[str, str], path: str) -> list[FieldError]:
    errors = []
    for key, value in labels.items():
        for text in names.qualified_name_errors(key):
            errors.append(FieldError.invalid(path, key, text))
        for text in names.label_value_errors(value):
            errors.append(FieldError.invalid(path, value, text))
    return errors


def validate_annotations(annotations: Mapping[str, str], path: str) -> list[FieldError]:
    errors, size = [], 0
    for key, value in annotations.items():
        for text in names.qualified_name_errors(key.lower()):
            errors.append(FieldError.invalid(path, key, text))
        size += len(key.encode()) + len(value.encode())
    if size > TOTAL_ANNOTATION_BYTES:
        errors.append(FieldError.too_long(path, TOTAL_ANNOTATION_BYTES))
    return errors


def as_prefix(name: str) -> str:
    """A generateName in the form that a name rule can check: its last dash is only a joint."""
    return f"{name[:-1]}a" if name.endswith("-") else name


def _validate_name(obj: Object, name_rule: NameRule) -> list[FieldError]:
    errors = []
    if prefix := meta.metadata(obj).get("generateName"):
        errors += [
            FieldError.invalid("metadata.generateName", prefix, text)
            for text in name_rule(as_prefix(prefix))
        ]
    name = meta.name(obj)
    if not name:
        errors.append(FieldError.required("metadata.name", "name or generateName is required"))
    else:
        errors += [FieldError.invalid("metadata.name", name, text) for text in name_rule(name)]
    return errors


def _validate_owners(obj: Object) -> list[FieldError]:
    path, errors = "metadata.ownerReferences", []
    controllers = []
    for owner in meta.owner_references(obj):
        version = owner.get("apiVersion", "").rpartition("/")[2]
        if not version:
            shown = owner.get("apiVersion", "")
            errors.append(
                FieldError.invalid(f"{path}.apiVersion", shown, "version must not be empty")
            )
        for field in ("kind", "name", "uid"):
            if not owner.get(field):
                errors.append(
                    FieldError.invalid(f"{path}.{field}", "", f"{field} must not be empty")
                )
        if owner.get("controller"):
            controllers.append(owner.get("name", ""))
    if len(controllers) > 1:
        text = (
            'Only one reference can have Controller set to true. Found "true" in references for '
            f"{controllers[0]} and {controllers[1]}"
        )
        errors.append(FieldError.invalid(path, meta.owner_references(obj), text))
    return errors


def _validate_finalizers(obj: Object) -> list[FieldError]:
    path, finalizers = "metadata.finalizers", meta.finalizers(obj)
    errors = [
        FieldError.invalid(path, finalizer, text)
        for finalizer in finalizers
        for text in names.qualified_name_errors(finalizer)
    ]
    if ORPHAN in finalizers and FOREGROUND in finalizers:
        text = f"finalizer {ORPHAN} and {FOREGROUND} cannot be both set"
        errors.append(FieldError.invalid(path, finalizers, text))
    return errors
