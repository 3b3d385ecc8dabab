"""URLs of members, as etcd's flags have them: scheme, host and port, and nothing else. Pure.

Clients may also be served at a socket in the file system: unix:///run/store.sock, or unixs:// with
TLS. Without the third slash the path is relative to the working directory, as in etcd.

Source: etcd, client/pkg/types (NewURLs, NewURLsMap).
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit

from podling.launcher.errors import LauncherError

LOCALHOST = "localhost"
SECURE = {"http": False, "https": True}
SECURE_SOCKETS = {"unix": False, "unixs": True}
"""Schemes, and whether they are of TLS."""
PATH_BYTES_MAX = 107
"""Of a socket's path; the system takes no more."""


class UrlError(LauncherError):
    """A flag has what is no URL of a member; the text says which, and what is wrong."""


@dataclass(frozen=True, slots=True)
class Url:
    """Where to listen, or where to be found."""

    text: str
    """As it was written; members are recognised by it."""
    secure: bool
    host: str
    """Empty if it is a socket's."""
    port: int
    path: Path | None = None
    """Of a socket in the file system."""

    @property
    def scheme(self) -> str:
        return urlsplit(self.text).scheme

    @property
    def address(self) -> str:
        """`host:port`, as sockets and gRPC have it; or `unix:path`, as gRPC has it."""
        if self.path is not None:
            return f"unix:{quote(str(self.path))}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return (
                self.path is not None
                or self.host == LOCALHOST
                or ipaddress.ip_address(self.host).is_loopback
            )
        except ValueError:
            return False


def parse(flag: str, text: str, *, sockets: bool = False) -> tuple[Url, ...]:
    """The URLs of `text`, parted by commas; raises UrlError, which names `flag`.

    `sockets`: paths of sockets are taken, too.
    """
    parts = (part.strip() for part in text.split(","))
    return tuple(_url(flag, part, sockets=sockets) for part in parts if part)


def _url(flag: str, text: str, *, sockets: bool = False) -> Url:
    try:
        parts = urlsplit(text)
        port = parts.port if parts.scheme in SECURE else 0
    except ValueError as error:
        raise UrlError(f"--{flag}: {text!r} is not a URL: {error}") from None
    if sockets and parts.scheme in SECURE_SOCKETS and "://" in text:
        return _socket(flag, text, parts)
    if parts.scheme not in SECURE or "://" not in text:
        also = ", unix:// or unixs://" if sockets else ""
        raise UrlError(
            f"--{flag}: {text!r} must begin with http:// or https://{also}, such as "
            "https://10.0.0.1:2380"
        )
    if not parts.hostname or port is None or parts.username is not None:
        raise UrlError(f"--{flag}: {text!r} must have the form SCHEME://HOST:PORT")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise UrlError(f"--{flag}: {text!r} must end after its port")
    return Url(text.rstrip("/"), SECURE[parts.scheme], parts.hostname, port)


def _socket(flag: str, text: str, parts: SplitResult) -> Url:
    path = unquote(parts.netloc + parts.path)
    if not path.strip("/") or path.endswith("/") or parts.query or parts.fragment or "\0" in path:
        raise UrlError(f"--{flag}: {text!r} must have the form unix:///PATH/OF/SOCKET")
    if len(path.encode()) > PATH_BYTES_MAX:
        raise UrlError(
            f"--{flag}: the path of {text!r} is too long: a socket's has at most "
            f"{PATH_BYTES_MAX} bytes"
        )
    return Url(text, SECURE_SOCKETS[parts.scheme], "", 0, Path(path))


def parse_listen(flag: str, text: str, *, sockets: bool = False) -> tuple[Url, ...]:
    """URLs to listen on: an address of this machine, or localhost, which is 127.0.0.1 then."""
    return tuple(_here(flag, url) for url in parse(flag, text, sockets=sockets))


def _here(flag: str, url: Url) -> Url:
    if url.path is not None:
        return url
    if url.host == LOCALHOST:
        return replace(url, host="127.0.0.1")
    try:
        ipaddress.ip_address(url.host)
    except ValueError:
        raise UrlError(
            f"--{flag}: expected an IP address to listen on, not {url.host!r} of {url.text}"
        ) from None
    return url


def parse_cluster(flag: str, text: str) -> dict[str, tuple[Url, ...]]:
    """The members of NAME=URL,NAME=URL,...; one with several URLs comes several times."""
    found: dict[str, list[Url]] = {}
    for part in text.split(","):
        name, equals, url = part.strip().partition("=")
        if not part.strip():
            continue
        if not equals or not name:
            raise UrlError(f"--{flag}: {part.strip()!r} must have the form NAME=URL")
        found.setdefault(name, []).append(_url(flag, url))
    _check_unique(flag, [url.text for urls in found.values() for url in urls])
    return {name: tuple(urls) for name, urls in found.items()}


def _check_unique(flag: str, urls: Sequence[str]) -> None:
    for url in urls:
        if urls.count(url) > 1:
            raise UrlError(f"--{flag}: {url} is there twice; each member has URLs of its own")
