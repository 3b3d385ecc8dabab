"""What `podling apiserver` makes where no flag names a certificate, also for several at once."""

import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from podling.aiokit.clock import system_wall_clock
from podling.controlplane.apiserver.rest.http_server import TlsFiles, server_context
from podling.launcher.apiserver import apiserver_certificates
from podling.launcher.apiserver.apiserver_settings import ApiServerFlags, settings


def serve(folder: Path, address: str = "127.0.0.1", port: int = 6443) -> TlsFiles:
    flags = ApiServerFlags(
        etcd_servers="http://127.0.0.1:2379",
        cert_dir=str(folder / "pki"),
        bind_address=address,
        secure_port=port,
    )
    return apiserver_certificates.serving_files(settings(flags), system_wall_clock)


def addresses(files: TlsFiles) -> list[str]:
    certificate = x509.load_pem_x509_certificate(Path(files.certificate).read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(address) for address in names.get_values_for_type(x509.IPAddress)]


def check_admin(folder: Path, files: TlsFiles) -> None:
    """The administrator's certificate is of the authority that the server asks for."""
    context = ssl.create_default_context(cafile=files.client_ca)
    context.load_cert_chain(folder / "pki" / "admin.crt", folder / "pki" / "admin.key")


def test_it_names_the_server_wherever_it_is_asked(tmp_path: Path) -> None:
    files = serve(tmp_path, "127.0.0.2")
    assert addresses(files) == ["10.0.0.1", "127.0.0.1", "127.0.0.2"], "10.0.0.1: the Service"


def test_what_is_good_is_kept(tmp_path: Path) -> None:
    before = Path(serve(tmp_path).certificate).read_bytes()
    assert Path(serve(tmp_path, port=6444).certificate).read_bytes() == before
    config = yaml.safe_load((tmp_path / "pki" / "kubeconfig").read_text())
    assert config["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:6444"


def test_a_server_at_another_address_gets_a_certificate_that_names_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    serve(tmp_path)
    assert "127.0.0.2" in addresses(serve(tmp_path, "127.0.0.2"))
    assert "it does not name 127.0.0.2" in caplog.text


def test_servers_that_start_at_once_make_one_authority(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        served = list(threads.map(lambda port: serve(tmp_path, port=port), range(7001, 7009)))
    for files in served:
        server_context(files)
        check_admin(tmp_path, files)
    authority = x509.load_pem_x509_certificate(Path(served[0].client_ca).read_bytes())
    for name in ("apiserver", "admin"):
        path = tmp_path / "pki" / f"{name}.crt"
        x509.load_pem_x509_certificate(path.read_bytes()).verify_directly_issued_by(authority)
