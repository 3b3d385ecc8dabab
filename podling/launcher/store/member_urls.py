"""URLs of members, as etcd's flags have them: scheme, host and port, and nothing else. Pure.

Source: etcd, client/pkg/types (NewURLs, NewURLsMap).
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from podling.launcher.errors import LauncherError

LOCALHOST = "localhost"


class UrlError(LauncherError):
    """A flag has what is no URL of a member; the text says which, and what is wrong."""


@dataclass(frozen=True, slots=True)
class Url:
    """Where to listen, or where to be found."""

    text: str
    """As it was written; members are recognised by it."""
    secure: bool
    host: str
    port: int

    @property
    def address(self) -> str:
        """`host:port`, as sockets and gRPC have it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return self.host == LOCALHOST or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse(flag: str, text: str) -> tuple[Url, ...]:
    """The URLs of `text`, parted by commas; raises UrlError, which names `flag`."""
    return tuple(_url(flag, part.strip()) for part in text.split(",") if part.strip())


def _url(flag: str, text: str) -> Url:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise UrlError(f"--{flag}: {text!r} is not a URL: {error}") from None
    if parts.scheme not in ("http", "https") or "://" not in text:
        raise UrlError(
            f"--{flag}: {text!r} must begin with http:// or https://, such as https://10.0.0.1:2380"
        )
    if not parts.hostname or port is None or parts.username is not None:
        raise UrlError(f"--{flag}: {text!r} must have the form SCHEME://HOST:PORT")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise UrlError(f"--{flag}: {text!r} must end after its port")
    return Url(text.rstrip("/"), parts.scheme == "https", parts.hostname, port)


def parse_listen(flag: str, text: str) -> tuple[Url, ...]:
    """URLs to listen on: an address of this machine, or localhost, which is 127.0.0.1 then."""
    urls = parse(flag, text)
    for url in urls:
        if url.host != LOCALHOST:
            try:
                ipaddress.ip_address(url.host)
            except ValueError:
                raise UrlError(
                    f"--{flag}: expected an IP address to listen on, not {url.host!r} of {url.text}"
                ) from None
    return tuple(
        Url(url.text, url.secure, "127.0.0.1", url.port) if url.host == LOCALHOST else url
        for url in urls
    )


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
