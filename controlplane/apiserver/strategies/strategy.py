"""What one kind fills into the pipeline that all kinds share.

The pipeline (podling.controlplane.apiserver.registry.registry) calls a strategy in this order:

* create: `default`, admission, `default` again, `prepare_create`, `validate`, `warnings`
* update: `default`, `prepare_update`, `validate_update`, `warnings`
* write to `/status`: `default`, `prepare_status`, `validate_status`
* delete: `graceful_deletion`

The functions that change an object do so in place: it belongs to the request. The old object
never changes. Structure (types, unknown fields) has been checked against the schema before, which
also dropped nulls and wrote quantities in their canonical form.

The pipeline itself owns name generation, uid, creationTimestamp, deletionTimestamp,
resourceVersion and namespace/name agreement with the URL. The strategy owns everything of a kind
that is left: its defaults, what a writer may not set, generation, and what is valid.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from podling.kube.errors import FieldError
from podling.kube.kinds import Kind
from podling.kube.meta import Object


@dataclass(frozen=True, slots=True)
class WriteContext:
    """What a strategy may know of the request besides the objects."""

    now: float
    """Seconds since the Unix epoch."""


class Strategy(Protocol):
    """One kind's part of the pipeline. Every function is pure but for the object it is handed."""

    @property
    def kind(self) -> Kind: ...

    @property
    def allow_unconditional_update(self) -> bool:
        """A PUT without a resourceVersion overwrites whatever is there; otherwise it is invalid."""

    @property
    def allow_create_on_update(self) -> bool:
        """A PUT to a name that does not exist creates the object."""

    def default(self, obj: Object) -> None:
        """Fill in what the writer left out. Idempotent."""

    def prepare_create(self, obj: Object, context: WriteContext) -> None:
        """Drop what a creator may not set (status, say); set generation 1 where the kind has it."""

    def validate(self, obj: Object) -> list[FieldError]:
        """What is wrong with a new object, metadata included."""

    def prepare_update(self, new: Object, old: Object, context: WriteContext) -> None:
        """Put back what a write to the main resource may not touch; bump generation if due."""

    def validate_update(self, new: Object, old: Object) -> list[FieldError]:
        """What is wrong with `new` in the place of `old`; covers all that `validate` checks."""

    def prepare_status(self, new: Object, old: Object) -> None:
        """Put back everything but status."""

    def validate_status(self, new: Object, old: Object) -> list[FieldError]:
        """What is wrong with a write to `/status`."""

    def graceful_deletion(self, obj: Object, options: Mapping[str, Any]) -> int:
        """Seconds that the object stays, marked as deleting; 0: it goes at once.

        `options` are DeleteOptions. Finalizers are the pipeline's concern, not this one's.
        """

    def warnings(self, obj: Object) -> list[str]:
        """What is accepted but unwise, for `Warning` headers."""
