"""Every identity gets a certificate of the cluster's own authority, and keeps it."""

import re
import ssl
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import NameOID

from podling.aiokit.clock import system_wall_clock
from podling.launcher import credentials
from podling.launcher.certificates import CredentialsError
from podling.launcher.layout import Layout
from tests.podling.launcher.test_cluster_file import CLUSTER


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout.at(tmp_path / "cluster")
    layout.create()
    ensure(layout)
    return layout


def ensure(layout: Layout) -> list[str]:
    """Returns what was said about it."""
    said: list[str] = []
    credentials.ensure(layout, CLUSTER, system_wall_clock, said.append)
    return said


def subject(path: Path) -> tuple[str, list[str]]:
    name = x509.load_pem_x509_certificate(path.read_bytes()).subject
    organisations = name.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    (common_name,) = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(common_name.value), [str(o.value) for o in organisations]


@pytest.mark.parametrize(
    ("name", "user", "groups"),
    [
        ("admin", "kubernetes-admin", ["system:masters"]),
        ("scheduler", "system:kube-scheduler", []),
        ("controller-manager", "system:kube-controller-manager", []),
        ("node-1", "system:node:node-1", ["system:nodes"]),
        ("replica-1", "replica-1", ["podling:replicas"]),
    ],
)
def test_subjects_say_user_and_groups(
    layout: Layout, name: str, user: str, groups: list[str]
) -> None:
    assert subject(layout.certificate(name)) == (user, groups)


def test_keys_can_be_read_by_their_owner_only(layout: Layout) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in layout.pki.iterdir()}
    assert set(modes.values()) == {0o600}, modes


def certificate(layout: Layout, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(layout.certificate(name).read_bytes())


def check_holds(layout: Layout, name: str) -> None:
    """The key belongs to the certificate, and the cluster's authority signed it."""
    context = ssl.create_default_context(cafile=layout.certificate("ca"))
    context.load_cert_chain(layout.certificate(name), layout.key(name))
    certificate(layout, name).verify_directly_issued_by(certificate(layout, "ca"))


@pytest.mark.parametrize("name", ["admin", "replica-1", "node-1"])
def test_certificates_hold_under_their_own_authority_only(
    layout: Layout, tmp_path: Path, name: str
) -> None:
    check_holds(layout, name)

    other = Layout.at(tmp_path / "other")
    other.create()
    ensure(other)
    with pytest.raises(InvalidSignature):
        certificate(layout, name).verify_directly_issued_by(certificate(other, "ca"))


def test_what_is_there_is_kept_and_what_is_missing_comes_back(layout: Layout) -> None:
    kept = layout.certificate("admin").read_bytes()
    layout.key("node-1").unlink()
    assert ensure(layout) == []
    assert layout.certificate("admin").read_bytes() == kept
    assert layout.key("node-1").exists()


def copy(layout: Layout, source: str, target: str) -> None:
    for path in (layout.certificate, layout.key):
        path(target).write_bytes(path(source).read_bytes())


def strange_authority(layout: Layout) -> None:
    for path in (layout.certificate("ca"), layout.key("ca")):
        path.unlink()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda layout: layout.certificate("replica-1").write_text("x"), "PEM"),
        (lambda layout: layout.key("replica-1").write_text(""), "PEM"),
        (lambda layout: copy(layout, "admin", "replica-1"), "it is for .*CN=kubernetes-admin"),
        (
            lambda layout: layout.key("replica-1").write_bytes(layout.key("admin").read_bytes()),
            "the key is another one's",
        ),
        (strange_authority, "another authority signed it"),
    ],
)
def test_a_certificate_that_is_damaged_or_wrong_is_replaced(
    layout: Layout, harm: Callable[[Layout], object], said: str
) -> None:
    harm(layout)
    told = "\n".join(ensure(layout))
    assert re.search(f"replica-1.crt, which could not be used: .*{said}", told), told
    assert subject(layout.certificate("replica-1")) == ("replica-1", ["podling:replicas"])
    check_holds(layout, "replica-1")
    assert ensure(layout) == []


def test_a_certificate_whose_time_is_over_is_replaced(layout: Layout) -> None:
    said: list[str] = []
    eleven_years = 11 * 365 * 86400
    credentials.ensure(layout, CLUSTER, lambda: system_wall_clock() + eleven_years, said.append)
    assert re.search("admin.crt, which could not be used: it ended on 20", "\n".join(said)), said


@pytest.mark.parametrize("content", ["{", "", "[]", "\0"])
def test_a_damaged_kubeconfig_is_replaced_and_another_is_kept(layout: Layout, content: str) -> None:
    good = layout.kubeconfig.read_text()
    layout.kubeconfig.write_text(content)
    assert "kubeconfig, which is damaged" in "\n".join(ensure(layout))
    assert layout.kubeconfig.read_text() == good
    layout.kubeconfig.write_text(good + "preferences: {}\n")
    assert ensure(layout) == []
    assert "preferences" in layout.kubeconfig.read_text()


@pytest.mark.parametrize(
    "harm",
    [
        lambda layout: layout.key("ca").write_text("nonsense"),
        lambda layout: layout.key("ca").unlink(),
        lambda layout: layout.key("ca").write_bytes(layout.key("admin").read_bytes()),
    ],
)
def test_a_damaged_authority_is_refused(layout: Layout, harm: Callable[[Layout], object]) -> None:
    before = layout.certificate("admin").read_bytes()
    harm(layout)
    with pytest.raises(CredentialsError, match=r"damaged.*podling down --purge"):
        ensure(layout)
    assert layout.certificate("admin").read_bytes() == before


def test_the_kubeconfig_names_files_relative_to_itself(layout: Layout) -> None:
    config = yaml.safe_load(layout.kubeconfig.read_text())
    user = config["users"][0]["user"]
    assert (layout.root / user["client-key"]).exists()
    assert config["clusters"][0]["cluster"]["server"] == "https://127.23.0.1:6443"
