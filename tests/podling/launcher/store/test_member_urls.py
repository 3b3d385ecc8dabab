"""URLs of members: what is one, and what is said of what is not."""

from pathlib import Path

import pytest

from podling.launcher.store import member_urls
from podling.launcher.store.member_urls import Url, UrlError


def test_urls_are_parted_by_commas() -> None:
    assert member_urls.parse("flag", "http://10.0.0.1:2380, https://[::1]:2381/") == (
        Url("http://10.0.0.1:2380", False, "10.0.0.1", 2380),
        Url("https://[::1]:2381", True, "::1", 2381),
    )
    assert member_urls.parse("flag", "") == ()


def test_an_address_is_what_sockets_take() -> None:
    four, six = member_urls.parse("flag", "http://10.0.0.1:1,http://[fe80::1]:2")
    assert (four.address, six.address) == ("10.0.0.1:1", "[fe80::1]:2")


@pytest.mark.parametrize(
    ("text", "is_loopback"),
    [("localhost", True), ("127.1.2.3", True), ("[::1]", True), ("0.0.0.0", False), ("a", False)],
)
def test_loopback_is_what_only_this_machine_reaches(text: str, is_loopback: bool) -> None:
    (url,) = member_urls.parse("flag", f"http://{text}:1")
    assert url.is_loopback is is_loopback


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("10.0.0.1:2380", "must begin with http:// or https://"),
        ("localhost:2380", "must begin with http:// or https://"),
        ("ftp://10.0.0.1:2380", "must begin with http:// or https://"),
        ("http://10.0.0.1", "SCHEME://HOST:PORT"),
        ("http://:2380", "SCHEME://HOST:PORT"),
        ("http://me@10.0.0.1:2380", "SCHEME://HOST:PORT"),
        ("http://10.0.0.1:port", "is not a URL"),
        ("http://10.0.0.1:99999", "is not a URL"),
        ("http://10.0.0.1:2380/path", "must end after its port"),
        ("http://10.0.0.1:2380?a=b", "must end after its port"),
    ],
)
def test_what_is_no_url_is_refused_by_flag_and_text(text: str, words: str) -> None:
    with pytest.raises(UrlError, match=words) as refused:
        member_urls.parse("listen-peer-urls", f"http://10.0.0.9:1,{text}")
    assert "--listen-peer-urls" in str(refused.value)
    assert repr(text) in str(refused.value)


@pytest.mark.parametrize(
    ("text", "secure", "path", "address"),
    [
        ("unix:///run/s", False, "/run/s", "unix:/run/s"),
        ("unixs:///run/a%20b", True, "/run/a b", "unix:/run/a%20b"),
        ("unix://localhost:2379", False, "localhost:2379", "unix:localhost%3A2379"),
        ("unix://run/s", False, "run/s", "unix:run/s"),
    ],
)
def test_a_socket_has_a_path(text: str, secure: bool, path: str, address: str) -> None:
    for parse in (member_urls.parse, member_urls.parse_listen):
        (url,) = parse("flag", text, sockets=True)
        assert (url.text, url.secure, url.path, url.address) == (text, secure, Path(path), address)
        assert url.is_loopback
        with pytest.raises(UrlError, match="must begin with http:// or https://, such"):
            parse("flag", text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("unix:/run/s", "or https://, unix:// or unixs://, such"),
        ("unix://", "must have the form unix:///PATH"),
        ("unix:///", "must have the form unix:///PATH"),
        ("unix:///run/", "must have the form unix:///PATH"),
        ("unix:///run/s?mode=1", "must have the form unix:///PATH"),
        ("unix:///run/s%00", "must have the form unix:///PATH"),
        ("unix:///run/" + "s" * 103, "at most 107 bytes"),
    ],
)
def test_what_is_no_path_of_a_socket_is_refused(text: str, words: str) -> None:
    with pytest.raises(UrlError, match=words):
        member_urls.parse("flag", text, sockets=True)


def test_to_listen_takes_an_address() -> None:
    (url,) = member_urls.parse_listen("flag", "https://localhost:2379")
    assert (url.text, url.address) == ("https://localhost:2379", "127.0.0.1:2379")
    with pytest.raises(UrlError, match=r"expected an IP address to listen on, not 'example\.org'"):
        member_urls.parse_listen("flag", "https://example.org:2379")


def test_a_cluster_is_a_list_of_names_with_urls() -> None:
    members = member_urls.parse_cluster(
        "flag", "a=http://10.0.0.1:1,b=http://10.0.0.2:1,a=http://10.0.1.1:1"
    )
    assert {name: [url.text for url in urls] for name, urls in members.items()} == {
        "a": ["http://10.0.0.1:1", "http://10.0.1.1:1"],
        "b": ["http://10.0.0.2:1"],
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("http://10.0.0.1:1", "NAME=URL"),
        ("=http://10.0.0.1:1", "NAME=URL"),
        ("a=10.0.0.1:1", "must begin with http"),
        ("a=http://10.0.0.1:1,b=http://10.0.0.1:1", "http://10.0.0.1:1 is there twice"),
    ],
)
def test_what_is_no_cluster_is_refused(text: str, words: str) -> None:
    with pytest.raises(UrlError, match=words):
        member_urls.parse_cluster("flag", text)
