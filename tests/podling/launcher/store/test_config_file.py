"""Flags from a file in etcd's form."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml

from podling.launcher.store.config_file import ConfigFileError, read, settings_of
from podling.launcher.store.store_flags import StoreFlags


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "etcd.yaml"


EXAMPLE = """
# A comment.
name: 'a'
data-dir: /var/lib/a
heartbeat-interval: 50
election-timeout: 500
listen-client-urls: https://10.0.0.1:2379,unix:///run/a.sock
advertise-client-urls: https://10.0.0.1:2379
listen-metrics-urls:
strict-reconfig-check: false
client-transport-security:
  cert-file: c.crt
  key-file: c.key
  client-cert-auth: true
  trusted-ca-file: c.ca
  auto-tls: false
peer-transport-security:
  cert-file: p.crt
  key-file: p.key
  trusted-ca-file: p.ca
  allowed-cn: member
experimental-corrupt-check-time: 1h
log-outputs: [stderr, a.log]
"""


def test_keys_are_the_names_of_flags(file: Path) -> None:
    file.write_text(EXAMPLE)
    flags, given = read(file)
    expected = {
        "name": "a",
        "data_dir": "/var/lib/a",
        "heartbeat_interval": 50,
        "election_timeout": 500,
        "listen_client_urls": "https://10.0.0.1:2379,unix:///run/a.sock",
        "advertise_client_urls": "https://10.0.0.1:2379",
        "strict_reconfig_check": False,
        "cert_file": "c.crt",
        "key_file": "c.key",
        "client_cert_auth": True,
        "trusted_ca_file": "c.ca",
        "auto_tls": False,
        "peer_cert_file": "p.crt",
        "peer_key_file": "p.key",
        "peer_trusted_ca_file": "p.ca",
        "peer_cert_allowed_cn": "member",
        "corrupt_check_time": "1h",
        "log_outputs": "stderr,a.log",
    }
    assert given == set(expected)
    assert flags == StoreFlags(**expected)  # type: ignore[arg-type]


def test_every_flag_can_be_in_a_file(file: Path) -> None:
    content: dict[str, Any] = {}
    expected = {}
    for flag in dataclasses.fields(StoreFlags):
        key, inside = flag.name.replace("_", "-"), content
        if flag.metadata["section"] == "Security between members":
            inside = content.setdefault("peer-transport-security", {})
            key = key.removeprefix("peer-")
        elif flag.metadata["section"] == "Security towards clients":
            inside = content.setdefault("client-transport-security", {})
        value = {bool: not flag.default, int: 7, str: flag.name}[type(flag.default)]
        inside[key] = expected[flag.name] = value
    file.write_text(yaml.safe_dump(content))
    assert read(file) == (StoreFlags(**expected), set(expected))


def test_an_empty_file_leaves_the_defaults(file: Path) -> None:
    file.write_text("# nothing\n")
    assert read(file) == (StoreFlags(), set())
    file.write_text("client-transport-security:\nname:\n")
    assert read(file) == (StoreFlags(), set())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("color: red", "there is no flag color here"),
        ("client-transport-security: {color: red}", "no flag client-transport-security.color"),
        ("cert-file: a", "cert-file belongs into the section client-transport-security or peer-"),
        ("peer-cert-file: a", "peer-cert-file belongs into the section"),
        ("5: red", "there is no flag 5 here"),
        ("config-file: a", "there is no flag config-file here"),
        ("name: a\nname: b", "line 1: name is there twice"),
        ("corrupt-check-time: 1s\nexperimental-corrupt-check-time: 1s", "by two names"),
        ("name: 5", "name must be text; in quotes"),
        ("name: [a]", "name must be text"),
        ("auto-compaction-retention: 1", "auto-compaction-retention must be text; in quotes"),
        ("log-outputs: [5]", "log-outputs must be a list of texts"),
        ("heartbeat-interval: '100'", "heartbeat-interval must be a number"),
        ("heartbeat-interval: true", "heartbeat-interval must be a number"),
        ("heartbeat-interval: 1.5", "heartbeat-interval must be a number"),
        ("client-transport-security: {client-cert-auth: 1}", "client-cert-auth must be true or"),
        ("client-transport-security: yes", "client-transport-security must have lines"),
        ("- name", "the file must have lines"),
        ("name", "the file must have lines"),
        ("name: a\n b: [", "line 2:"),
        ("name: !!python/object:os.system a", "could not determine a constructor"),
        ("name: \x01", "is not YAML"),
        ("name: *a", "undefined alias"),
        ("heartbeat-interval: 0", "--heartbeat-interval must be more than 0"),
        ("listen-client-urls: http://127.0.0.1:1", "--advertise-client-urls is required"),
        ("name: 2020-99-99", "is not YAML"),
        ("[" * 500, "is not YAML"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_key(file: Path, text: str, words: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigFileError) as refused:
        settings_of(file)
    assert str(file) in str(refused.value)
    assert words in str(refused.value)


def test_what_is_wrong_does_not_tell_what_may_be_secret(file: Path) -> None:
    for text in (
        "initial-cluster-token: [hunter2",
        "initial-cluster-token: [hunter2]",
        "initial-cluster-token: {hunter2: 5}",
        "initial-cluster-token: 'hunter2\nname: [",
    ):
        file.write_text(text)
        with pytest.raises(ConfigFileError) as refused:
            read(file)
        assert "hunter2" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    for path, words in ((tmp_path / "none", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigFileError, match=words):
            read(path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\xd8name")
    with pytest.raises(ConfigFileError, match="is not YAML"):
        read(tmp_path / "binary")
