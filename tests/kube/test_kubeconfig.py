import base64
import os
import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml

from podling.kube import kubeconfig
from podling.kube.kubeconfig import KubeconfigError
from tests.kube.authority import Authority


def document(cluster: dict[str, Any], user: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [
            {"name": "other", "context": {"cluster": "none"}},
            {"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "shop"}},
        ],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:6443/", **cluster}}],
        "users": [{"name": "u", "user": user}],
    }


def parse(cluster: dict[str, Any], user: dict[str, Any], path: Path | str = "config"):  # type: ignore[no-untyped-def]
    return kubeconfig.parse(yaml.safe_dump(document(cluster, user)).encode(), path)


def data(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def test_the_current_context_says_server_namespace_and_user() -> None:
    config = parse({"tls-server-name": "kubernetes"}, {"token": "secret"})
    assert (config.server, config.namespace, config.user) == (
        "https://127.0.0.1:6443",
        "shop",
        "u",
    )
    assert (config.server_name, config.token) == ("kubernetes", "secret")
    assert "secret" not in repr(config)


@pytest.mark.parametrize("inline", [True, False])
def test_certificates_come_from_data_or_from_files_beside_it(tmp_path: Path, inline: bool) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("me")
    if inline:
        cluster = {"certificate-authority-data": data(authority.ca)}
        user = {"client-certificate-data": data(certificate), "client-key-data": data(key)}
    else:
        cluster = {"certificate-authority": authority.ca.name}
        user = {"client-certificate": str(certificate), "client-key": key.name}
    config = parse(cluster, user, tmp_path / "config")
    assert config.ca == authority.ca.read_bytes()
    context = config.ssl_context()
    assert context is not None
    assert len(context.get_ca_certs()) == 1


def test_keys_leave_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = Authority(tmp_path).issue("me")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    user = {"client-certificate-data": data(certificate), "client-key-data": data(key)}
    parse({}, user).ssl_context()
    assert os.listdir(scratch) == []


def test_insecure_trusts_any_server() -> None:
    context = parse({"insecure-skip-tls-verify": True}, {}).ssl_context()
    assert context is not None
    assert context.verify_mode == ssl.CERT_NONE


def test_plain_http_has_no_tls() -> None:
    assert parse({"server": "http://127.0.0.1:8080"}, {}).ssl_context() is None


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"current-context": ""}, "has no current-context"),
        ({"current-context": "nowhere"}, "has no context 'nowhere'"),
        ({"current-context": "other"}, "has no cluster 'none'"),
        ({"kind": "Pod"}, "is not a kubeconfig"),
        ({"users": []}, "has no user 'u'"),
        ({"users": [{"name": "u", "user": {"exec": {"command": "x"}}}]}, "exec is not supported"),
        (
            {"users": [{"name": "u", "user": {"client-certificate": "gone.crt"}}]},
            "No such file",
        ),
        (
            {"users": [{"name": "u", "user": {"client-certificate-data": "%%"}}]},
            "kubeconfig config",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(change: dict[str, Any], text: str) -> None:
    with pytest.raises(KubeconfigError, match=text):
        kubeconfig.parse(yaml.safe_dump(document({}, {}) | change).encode(), "config")


def test_what_is_no_yaml_or_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KubeconfigError, match="is not YAML"):
        kubeconfig.parse(b"a: [", "config")
    with pytest.raises(KubeconfigError, match="cannot read kubeconfig"):
        kubeconfig.load(tmp_path / "none")


def test_broken_certificates_name_the_user_and_not_the_key() -> None:
    broken = base64.b64encode(b"-----BEGIN nonsense").decode()
    config = parse({}, {"client-certificate-data": broken, "client-key-data": broken})
    with pytest.raises(KubeconfigError, match="certificates of user 'u'"):
        config.ssl_context()


async def test_a_transport_uses_the_servers_it_is_given(tmp_path: Path) -> None:
    config = parse({"server": "http://127.0.0.1:1"}, {})
    assert kubeconfig.transport(config).endpoint == "http://127.0.0.1:1"
    assert kubeconfig.transport(config, ["http://a", "http://b"]).endpoint == "http://a"
