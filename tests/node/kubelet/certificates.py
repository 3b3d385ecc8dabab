"""An authority with a server's and some clients' certificates, made once a test run."""

import datetime
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BEGIN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
END = datetime.datetime(2126, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True, slots=True)
class Pair:
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Certificates:
    authority: Path
    server: Pair
    api_server: Pair
    """A client of the group system:masters."""
    stranger: Pair
    """A client of the same authority without that group."""

    def client_context(self, pair: Pair) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.authority))
        context.load_cert_chain(pair.certificate, pair.key)
        return context


def make(directory: Path) -> Certificates:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test-authority")])
    authority = _builder(name, name, key.public_key()).add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=True
    )
    authority = authority.add_extension(_usage(signs=True), critical=True)
    signed = authority.sign(key, hashes.SHA256())
    path = directory / "ca.crt"
    path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    return Certificates(
        authority=path,
        server=_issue(directory, "node-1", "system:nodes", name, key),
        api_server=_issue(directory, "kube-apiserver-kubelet-client", "system:masters", name, key),
        stranger=_issue(directory, "stranger", "system:nodes", name, key),
    )


def _issue(
    directory: Path,
    common_name: str,
    group: str,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, group),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
    addresses = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    builder = (
        _builder(subject, issuer, key.public_key())
        .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
        .add_extension(
            x509.ExtendedKeyUsage(
                [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            ),
            critical=False,
        )
        .add_extension(_usage(signs=False), critical=True)
    )
    pair = Pair(directory / f"{common_name}.crt", directory / f"{common_name}.key")
    signed = builder.sign(issuer_key, hashes.SHA256())
    pair.certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    pair.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return pair


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not signs,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(BEGIN)
        .not_valid_after(END)
    )
