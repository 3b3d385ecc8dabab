"""ConfigMap, Secret and ServiceAccount."""

import base64
import binascii

from podling.controlplane.apiserver.strategies.base import BaseStrategy
from podling.controlplane.apiserver.strategies.filling import fill_zero, section
from podling.controlplane.apiserver.strategies.metadata_validation import IMMUTABLE
from podling.kube import meta, names
from podling.kube.errors import FieldError
from podling.kube.meta import Object

MAX_BYTES = 1024 * 1024
OPAQUE = "Opaque"
BASIC_AUTH = "kubernetes.io/basic-auth"
SERVICE_ACCOUNT_TOKEN = "kubernetes.io/service-account-token"
SERVICE_ACCOUNT_NAME = "kubernetes.io/service-account.name"

_FROZEN_TEXT = "field is immutable when `immutable` is set"

#: Keys that a secret of a type must have.
_REQUIRED_KEYS = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}


class ConfigMapStrategy(BaseStrategy):
    def validate(self, obj: Object) -> list[FieldError]:
        errors, size = super().validate(obj), 0
        data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
        for key, value in data.items():
            errors += _validate_key(key, f"data[{key}]")
            if key in binary:
                text = "duplicate of key present in binaryData"
                errors.append(FieldError.invalid(f"data[{key}]", key, text))
            size += len(value.encode())
        for key, value in binary.items():
            errors += _validate_key(key, f"binaryData[{key}]")
            size += _decoded_size(value)
        if size > MAX_BYTES:
            errors.append(FieldError.too_long("", MAX_BYTES))
        return errors

    def validate_update(self, new: Object, old: Object) -> list[FieldError]:
        errors = super().validate_update(new, old)
        return errors + _validate_frozen(new, old, ("data", "binaryData"))


class SecretStrategy(BaseStrategy):
    def default(self, obj: Object) -> None:
        fill_zero(obj, "type", OPAQUE)
        texts = obj.pop("stringData", None)
        for key, value in (texts or {}).items():
            section(obj, "data")[key] = base64.b64encode(value.encode()).decode()

    def validate(self, obj: Object) -> list[FieldError]:
        errors, size = super().validate(obj), 0
        data = obj.get("data") or {}
        for key, value in data.items():
            errors += _validate_key(key, f"data[{key}]")
            errors += _validate_base64(value, f"data[{key}]")
            size += _decoded_size(value)
        if size > MAX_BYTES:
            errors.append(FieldError.too_long("data", MAX_BYTES))
        for key in _REQUIRED_KEYS.get(obj.get("type", ""), ()):
            if key not in data:
                errors.append(FieldError.required(f"data[{key}]"))
        return errors + _validate_secret_type(obj)

    def validate_update(self, new: Object, old: Object) -> list[FieldError]:
        errors = super().validate_update(new, old)
        if new.get("type") != old.get("type"):
            errors.append(FieldError.invalid("type", new.get("type"), IMMUTABLE))
        return errors + _validate_frozen(new, old, ("data",))


class ServiceAccountStrategy(BaseStrategy):
    """References to secrets are not checked: they may come later."""


def _validate_key(key: str, path: str) -> list[FieldError]:
    return [FieldError.invalid(path, key, text) for text in names.config_key_errors(key)]


def _validate_base64(value: str, path: str) -> list[FieldError]:
    """The message does not show the value: it may be the secret itself, sent unencoded."""
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        return [FieldError.invalid(path, "", f"must be base64: {error}")]
    return []


def _decoded_size(value: str) -> int:
    return len(value) * 3 // 4


def _validate_secret_type(secret: Object) -> list[FieldError]:
    kind, data = secret.get("type"), secret.get("data") or {}
    if kind == BASIC_AUTH and not {"username", "password"} & data.keys():
        return [FieldError.required("data[username]"), FieldError.required("data[password]")]
    if kind == SERVICE_ACCOUNT_TOKEN and not meta.annotations(secret).get(SERVICE_ACCOUNT_NAME):
        return [FieldError.required(f"metadata.annotations[{SERVICE_ACCOUNT_NAME}]")]
    return []


def _validate_frozen(new: Object, old: Object, fields: tuple[str, ...]) -> list[FieldError]:
    """Once `immutable`, always: neither it nor the data may change."""
    if not old.get("immutable"):
        return []
    return [
        FieldError.forbidden(field, _FROZEN_TEXT)
        for field in ("immutable", *fields)
        if (new.get(field) or None) != (old.get(field) or None)
    ]
