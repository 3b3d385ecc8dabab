"""Every identity gets a certificate of the cluster's own authority, and keeps it."""

import ssl
import stat
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import NameOID

from podling.aiokit.clock import system_wall_clock
from podling.launcher import credentials
from podling.launcher.layout import Layout
from tests.podling.launcher.test_cluster_file import CLUSTER


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout.at(tmp_path / "cluster")
    layout.create()
    credentials.ensure(layout, CLUSTER, system_wall_clock)
    return layout


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


def test_certificates_hold_under_their_authority(layout: Layout) -> None:
    context = ssl.create_default_context(cafile=layout.certificate("ca"))
    context.load_cert_chain(layout.certificate("replica-1"), layout.key("replica-1"))


def test_what_is_there_is_kept_and_what_is_missing_comes_back(layout: Layout) -> None:
    kept = layout.certificate("admin").read_bytes()
    layout.key("node-1").unlink()
    credentials.ensure(layout, CLUSTER, system_wall_clock)
    assert layout.certificate("admin").read_bytes() == kept
    assert layout.key("node-1").exists()


def test_a_damaged_authority_is_refused(layout: Layout) -> None:
    layout.key("ca").write_text("nonsense")
    with pytest.raises(credentials.CredentialsError, match="damaged"):
        credentials.ensure(layout, CLUSTER, system_wall_clock)


def test_the_kubeconfig_names_files_relative_to_itself(layout: Layout) -> None:
    config = yaml.safe_load(layout.kubeconfig.read_text())
    user = config["users"][0]["user"]
    assert (layout.root / user["client-key"]).exists()
    assert config["clusters"][0]["cluster"]["server"] == "https://127.23.0.1:6443"
