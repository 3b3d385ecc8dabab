"""What most kinds do, so that a kind's own file holds only what is particular about it."""

from collections.abc import Mapping
from typing import Any, ClassVar

from podling.controlplane.apiserver.strategies.metadata_validation import (
    validate_annotations,
    validate_metadata,
)
from podling.controlplane.apiserver.strategies.strategy import WriteContext
from podling.kube import meta, names
from podling.kube.errors import FieldError
from podling.kube.kinds import Kind
from podling.kube.meta import Object


class BaseStrategy:
    """A kind without defaults, whose metadata alone is validated. Satisfies `Strategy`."""

    allow_unconditional_update = True
    allow_create_on_update = False

    has_status: ClassVar[bool] = False
    """The kind has a `/status`: writes to the main resource never change it, and vice versa."""
    has_generation: ClassVar[bool] = False
    """metadata.generation counts the changes of `generation_of`."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    def name_errors(self, name: str) -> list[str]:
        """What is wrong with a name of such an object."""
        return names.dns_subdomain_errors(name)

    def default(self, obj: Object) -> None:
        """Nothing to fill in."""

    def prepare_create(self, obj: Object, context: WriteContext) -> None:
        if self.has_status:
            obj["status"] = {}
        self._set_generation(obj, 1)

    def prepare_update(self, new: Object, old: Object, context: WriteContext) -> None:
        if self.has_status:
            restore(new, old, "status")
        changed = self.has_generation and self.generation_of(new) != self.generation_of(old)
        self._set_generation(new, meta.generation(old) + changed)

    def generation_of(self, obj: Object) -> Any:
        """What a change of bumps the generation."""
        return obj.get("spec")

    def validate(self, obj: Object) -> list[FieldError]:
        return validate_metadata(obj, self.kind, self.name_errors)

    def validate_update(self, new: Object, old: Object) -> list[FieldError]:
        return self.validate(new)

    def prepare_status(self, new: Object, old: Object) -> None:
        """Keep the status, and annotations, in which some controllers note what they did.

        Everything else is as it was.
        """
        status, annotations = new.get("status"), meta.annotations(new)
        new.clear()
        new.update({field: value for field, value in old.items() if field != "status"})
        new["metadata"] = dict(meta.metadata(old))
        restore(new["metadata"], {"annotations": annotations} if annotations else {}, "annotations")
        if status is not None:
            new["status"] = status

    def validate_status(self, new: Object, old: Object) -> list[FieldError]:
        return validate_annotations(meta.annotations(new), "metadata.annotations")

    def graceful_deletion(self, obj: Object, options: Mapping[str, Any]) -> int:
        return 0

    def warnings(self, obj: Object) -> list[str]:
        return []

    def _set_generation(self, obj: Object, generation: int) -> None:
        if self.has_generation:
            obj["metadata"]["generation"] = generation
        else:
            obj["metadata"].pop("generation", None)


def restore(new: Object, old: Object, field: str) -> None:
    """Make a field what it was, absent if it was absent."""
    if field in old:
        new[field] = old[field]
    else:
        new.pop(field, None)
