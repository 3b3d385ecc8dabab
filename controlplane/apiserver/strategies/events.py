"""Event (core/v1): short-lived records about other objects."""

from podling.controlplane.apiserver.strategies.base import BaseStrategy
from podling.kube import meta
from podling.kube.errors import FieldError
from podling.kube.meta import Object


class EventStrategy(BaseStrategy):
    allow_create_on_update = True

    def validate(self, obj: Object) -> list[FieldError]:
        errors = super().validate(obj)
        about = (obj.get("involvedObject") or {}).get("namespace") or ""
        # Events about what has no namespace are kept in `default`.
        if (about or "default") != meta.namespace(obj) and not _is_about_nobody(about, obj):
            text = "does not match event.namespace"
            errors.append(FieldError.invalid("involvedObject.namespace", about, text))
        return errors


def _is_about_nobody(about: str, event: Object) -> bool:
    return not about and meta.namespace(event) == "kube-system"
