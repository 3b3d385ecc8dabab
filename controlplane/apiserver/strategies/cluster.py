"""Namespace, Node and Lease."""

from ipaddress import ip_network

from podling.controlplane.apiserver.strategies import values_validation
from podling.controlplane.apiserver.strategies.base import BaseStrategy, restore
from podling.controlplane.apiserver.strategies.filling import section
from podling.controlplane.apiserver.strategies.metadata_validation import validate_labels
from podling.controlplane.apiserver.strategies.pod_validation import TAINT_EFFECTS
from podling.controlplane.apiserver.strategies.strategy import WriteContext
from podling.kube import meta, names
from podling.kube.errors import FieldError
from podling.kube.meta import Object

NAME_LABEL = "kubernetes.io/metadata.name"
KUBERNETES_FINALIZER = "kubernetes"
ACTIVE, TERMINATING = "Active", "Terminating"


class NamespaceStrategy(BaseStrategy):
    has_status = True

    def name_errors(self, name: str) -> list[str]:
        return names.dns_label_errors(name)

    def default(self, obj: Object) -> None:
        if name := meta.name(obj):
            section(section(obj, "metadata"), "labels").setdefault(NAME_LABEL, name)

    def prepare_create(self, obj: Object, context: WriteContext) -> None:
        finalizers = section(obj, "spec").setdefault("finalizers", [])
        if KUBERNETES_FINALIZER not in finalizers:
            finalizers.append(KUBERNETES_FINALIZER)
        obj["status"] = {"phase": ACTIVE}

    def prepare_update(self, new: Object, old: Object, context: WriteContext) -> None:
        super().prepare_update(new, old, context)
        restore(new, old, "spec")  # its only field changes by /finalize

    def prepare_finalize(self, new: Object, old: Object) -> None:
        """A write to `/finalize` changes `spec.finalizers` and nothing else."""
        finalizers = (new.get("spec") or {}).get("finalizers") or []
        self.prepare_status(new, old)
        restore(new, old, "status")
        new["spec"] = {**(old.get("spec") or {}), "finalizers": finalizers}

    def validate(self, obj: Object) -> list[FieldError]:
        errors = super().validate(obj)
        for index, finalizer in enumerate((obj.get("spec") or {}).get("finalizers") or ()):
            path = f"spec.finalizers[{index}]"
            texts = names.qualified_name_errors(finalizer)
            errors += [FieldError.invalid(path, finalizer, text) for text in texts]
        return errors

    def validate_status(self, new: Object, old: Object) -> list[FieldError]:
        errors = super().validate_status(new, old)
        phase = (new.get("status") or {}).get("phase")
        if meta.is_deleting(new):
            if phase != TERMINATING:
                text = "may only be 'Terminating' if `deletionTimestamp` is not empty"
                errors.append(FieldError.invalid("status.phase", phase, text))
        elif phase != ACTIVE:
            text = "may only be 'Active' if `deletionTimestamp` is empty"
            errors.append(FieldError.invalid("status.phase", phase, text))
        return errors


class NodeStrategy(BaseStrategy):
    has_status = True

    def default(self, obj: Object) -> None:
        section(obj, "spec")
        status = section(obj, "status")
        if status.get("capacity") and not status.get("allocatable"):
            status["allocatable"] = dict(status["capacity"])

    def prepare_create(self, obj: Object, context: WriteContext) -> None:
        """A node agent registers itself with its status, so that stays."""

    def prepare_status(self, new: Object, old: Object) -> None:
        """A node agent keeps the labels that it reports up to date by its status."""
        labels = meta.labels(new)
        super().prepare_status(new, old)
        restore(new["metadata"], {"labels": labels} if labels else {}, "labels")

    def validate_status(self, new: Object, old: Object) -> list[FieldError]:
        return super().validate_status(new, old) + validate_labels(
            meta.labels(new), "metadata.labels"
        )

    def validate(self, obj: Object) -> list[FieldError]:
        spec = obj.get("spec") or {}
        errors = super().validate(obj)
        for index, taint in enumerate(spec.get("taints") or ()):
            errors += _validate_taint(taint, f"spec.taints[{index}]")
        seen: set[tuple[str, str]] = set()
        for index, taint in enumerate(spec.get("taints") or ()):
            key = taint.get("key", ""), taint.get("effect", "")
            if key in seen:
                errors.append(FieldError.duplicate(f"spec.taints[{index}]", taint))
            seen.add(key)
        for index, network in enumerate(spec.get("podCIDRs") or ()):
            errors += _validate_network(network, f"spec.podCIDRs[{index}]")
        return errors

    def validate_update(self, new: Object, old: Object) -> list[FieldError]:
        errors = super().validate_update(new, old)
        before, after = old.get("spec") or {}, new.get("spec") or {}
        if before.get("podCIDRs") and after.get("podCIDRs") != before["podCIDRs"]:
            text = 'node updates may not change podCIDR except from "" to valid'
            errors.append(FieldError.forbidden("spec.podCIDRs", text))
        if before.get("providerID") and after.get("providerID") != before["providerID"]:
            text = 'node updates may not change providerID except from "" to valid'
            errors.append(FieldError.forbidden("spec.providerID", text))
        return errors


def _validate_taint(taint: Object, path: str) -> list[FieldError]:
    key, value = taint.get("key") or "", taint.get("value") or ""
    texts = names.qualified_name_errors(key)
    errors = [FieldError.invalid(f"{path}.key", key, text) for text in texts]
    texts = names.label_value_errors(value)
    errors += [FieldError.invalid(f"{path}.value", value, text) for text in texts]
    return errors + values_validation.one_of(taint, "effect", TAINT_EFFECTS, path)


def _validate_network(network: str, path: str) -> list[FieldError]:
    try:
        ip_network(network)
    except ValueError:
        text = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
        return [FieldError.invalid(path, network, text)]
    return []


class LeaseStrategy(BaseStrategy):
    allow_create_on_update = True
    allow_unconditional_update = False

    def validate(self, obj: Object) -> list[FieldError]:
        spec = obj.get("spec") or {}
        errors = super().validate(obj)
        seconds = spec.get("leaseDurationSeconds")
        if seconds is not None and seconds <= 0:
            text = "must be greater than 0"
            errors.append(FieldError.invalid("spec.leaseDurationSeconds", seconds, text))
        return errors + values_validation.not_negative(spec, "leaseTransitions", "spec")
