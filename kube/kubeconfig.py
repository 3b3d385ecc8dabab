"""Reads a kubeconfig and makes the transport it describes.

Of a kubeconfig's many ways to say who one is, client certificates (data or files) and bearer tokens
are known here; anything else in use by the current context is refused by name.
Source: the page "Organizing Cluster Access Using kubeconfig Files".
"""

import base64
import binascii
import os
import ssl
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import yaml

from podling.kube.http_transport import HttpTransport, HttpTransportConfig

_UNKNOWN_WAYS: Final = ("exec", "auth-provider", "username", "tokenFile")


class KubeconfigError(ValueError):
    """The file cannot be used; the text says which one and why."""


@dataclass(frozen=True, slots=True)
class Kubeconfig:
    """What the current context says."""

    server: str
    """URL of the API server."""
    namespace: str = "default"
    user: str = ""
    """The name of the user entry, which is not who the server takes one for."""
    ca: bytes = b""
    """Certificates to trust, in PEM; empty: the system's."""
    server_name: str = ""
    """Expected in the server's certificate, if not the host in `server`."""
    insecure: bool = False
    """Trust any certificate."""
    certificate: bytes = b""
    key: bytes = field(default=b"", repr=False)
    """The client's, in PEM."""
    token: str = field(default="", repr=False)

    def ssl_context(self) -> ssl.SSLContext | None:
        """None for a server without TLS. Raises KubeconfigError for unusable certificates."""
        if not self.server.startswith("https:"):
            return None
        try:
            context = ssl.create_default_context(cadata=self.ca.decode() or None)
            if self.insecure:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            if self.certificate:
                _load_chain(context, self.certificate + b"\n" + self.key)
        except (ssl.SSLError, ValueError) as error:
            raise KubeconfigError(
                f"certificates of user {self.user!r} for {self.server}: {error}"
            ) from error
        return context


def load(path: str | Path) -> Kubeconfig:
    """The current context of the kubeconfig at `path`. Raises KubeconfigError."""
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise KubeconfigError(f"cannot read kubeconfig {path}: {error.strerror}") from error
    return parse(text, path)


def parse(text: bytes, path: str | Path) -> Kubeconfig:
    """`path` is for messages, and for file names in it that are relative."""
    reader = _Reader(path)
    try:
        return reader.read(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise KubeconfigError(f"kubeconfig {path} is not YAML: {error}") from error
    except (OSError, binascii.Error) as error:
        raise KubeconfigError(f"kubeconfig {path}: {error}") from error


def transport(
    config: Kubeconfig,
    endpoints: Sequence[str] = (),
    settings: HttpTransportConfig | None = None,
) -> HttpTransport:
    """A transport as `config` says; `endpoints` are equal servers to use in place of its one."""
    settings = settings or HttpTransportConfig()
    if config.server_name and not settings.server_name:
        settings = replace(settings, server_name=config.server_name)
    if config.token and not settings.token:
        settings = replace(settings, token=config.token)
    return HttpTransport(endpoints or (config.server,), config.ssl_context(), settings)


class _Reader:
    """Reads one file; its messages name the file and the entry."""

    def __init__(self, path: str | Path) -> None:
        self._path = path

    def read(self, document: Any) -> Kubeconfig:
        if not isinstance(document, Mapping) or document.get("kind", "Config") != "Config":
            raise self._error("is not a kubeconfig")
        name = document.get("current-context") or ""
        if not name:
            raise self._error("has no current-context")
        context = self._entry(document, "context", name)
        cluster = self._entry(document, "cluster", context.get("cluster"))
        user_name = context.get("user") or ""
        user = self._entry(document, "user", user_name) if user_name else {}
        if not cluster.get("server"):
            raise self._error(f"cluster {context['cluster']!r} has no server")
        if unknown := [way for way in _UNKNOWN_WAYS if user.get(way)]:
            raise self._error(f"user {user_name!r}: {unknown[0]} is not supported here")
        return Kubeconfig(
            server=str(cluster["server"]).rstrip("/"),
            namespace=context.get("namespace") or "default",
            user=user_name,
            ca=self._data(cluster, "certificate-authority"),
            server_name=cluster.get("tls-server-name") or "",
            insecure=bool(cluster.get("insecure-skip-tls-verify")),
            certificate=self._data(user, "client-certificate"),
            key=self._data(user, "client-key"),
            token=user.get("token") or "",
        )

    def _entry(self, document: Mapping[str, Any], noun: str, name: Any) -> Mapping[str, Any]:
        for item in document.get(f"{noun}s") or ():
            if item.get("name") == name:
                entry: Mapping[str, Any] = item.get(noun) or {}
                return entry
        raise self._error(f"has no {noun} {name!r}")

    def _data(self, entry: Mapping[str, Any], name: str) -> bytes:
        """`name-data` in base 64, or else the file `name`."""
        if data := entry.get(f"{name}-data"):
            return base64.b64decode(data, validate=True)
        if file := entry.get(name):
            return (Path(self._path).parent / str(file)).read_bytes()
        return b""

    def _error(self, text: str) -> KubeconfigError:
        return KubeconfigError(f"kubeconfig {self._path} {text}")


def _load_chain(context: ssl.SSLContext, chain: bytes) -> None:
    """OpenSSL reads certificates with keys from files only: one of mode 0600, at once removed."""
    handle, path = tempfile.mkstemp(suffix=".pem")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(chain)
        context.load_cert_chain(path)
    finally:
        os.unlink(path)
