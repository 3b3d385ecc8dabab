"""The cluster's own certificate authority and the certificates it signs.

Keys are ECDSA P-256: made in well under a millisecond, accepted by every TLS client of the field.
Subjects follow Kubernetes' x509 authentication: the common name is the user, each organisation a
group (Kubernetes documentation, "Authenticating", X.509 client certificates).
"""

import datetime
import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from podling.aiokit.clock import WallClock
from podling.launcher.cluster_file import write_private
from podling.launcher.errors import LauncherError

LIFETIME = datetime.timedelta(days=3650)
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of the curve SECP256R1 (FIPS 186-4, section D.1.2.3)."""
BACKDATE = datetime.timedelta(minutes=5)
"""A peer's clock may be a little behind."""


class CredentialsError(LauncherError):
    """Certificates that are missing or cannot be used; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a certificate speaks for, and under which names it may be reached."""

    common_name: str
    organisations: Sequence[str] = ()
    addresses: Sequence[str] = ()
    """IP addresses of its server side."""
    host_names: Sequence[str] = ()


class Authority:
    """Signs certificates with the cluster's CA key."""

    def __init__(
        self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey, clock: WallClock
    ) -> None:
        self._certificate = certificate
        self._key = key
        self._clock = clock

    @classmethod
    def create(cls, name: str, clock: WallClock) -> "Authority":
        """A new self-signed authority."""
        return cls._self_signed(name, ec.generate_private_key(ec.SECP256R1()), clock)

    @classmethod
    def of_secret(cls, name: str, secret: bytes, clock: WallClock) -> "Authority":
        """The authority that all have who know `secret`, and nobody else."""
        # 64 random-looking bytes modulo the order of the curve are as good as a drawn number.
        drawn = int.from_bytes(hashlib.sha512(b"podling authority\0" + secret).digest(), "big")
        number = drawn % (P256_ORDER - 1) + 1
        return cls._self_signed(name, ec.derive_private_key(number, ec.SECP256R1()), clock)

    @classmethod
    def _self_signed(
        cls, name: str, key: ec.EllipticCurvePrivateKey, clock: WallClock
    ) -> "Authority":
        subject = _name(Subject(name))
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        certificate = (
            _builder(subject, subject, key, clock)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(authority=True), critical=True)
            .add_extension(identifier, critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key, clock)

    @classmethod
    def load(cls, certificate: Path, key: Path, clock: WallClock) -> "Authority":
        """An authority from its PEM files; raises OSError or ValueError."""
        loaded = serialization.load_pem_private_key(key.read_bytes(), password=None)
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{key} is not an elliptic-curve key")
        authority = cls(x509.load_pem_x509_certificate(certificate.read_bytes()), loaded, clock)
        if authority._certificate.public_key() != loaded.public_key():
            raise ValueError(f"{certificate} and {key} do not belong together")
        return authority

    @classmethod
    def load_or_create(
        cls, name: str, certificate: Path, key: Path, clock: WallClock, remedy: str
    ) -> "Authority":
        """The one in these files, made if there is neither. Raises CredentialsError."""
        if not certificate.exists() and not key.exists():
            authority = cls.create(name, clock)
            authority.save(certificate, key)
            return authority
        try:
            return cls.load(certificate, key, clock)
        except (OSError, ValueError) as error:
            raise CredentialsError(
                f"the certificate authority in {certificate.parent} is damaged ({error}): restore "
                f"{certificate.name} and {key.name}, or {remedy}"
            ) from error

    def save(self, certificate: Path, key: Path) -> None:
        write_private(key, _key_pem(self._key))
        write_private(certificate, _pem(self._certificate))

    @property
    def pem(self) -> bytes:
        """Its certificate, for those who are to trust it."""
        return _pem(self._certificate)

    def issue(self, subject: Subject, certificate: Path, key: Path) -> None:
        """Sign a certificate for both ends of TLS and write it, and its new key, as PEM files."""
        signed, private = self.sign(subject)
        write_private(key, private)
        write_private(certificate, signed)

    def issue_unless_good(self, subject: Subject, certificate: Path, key: Path) -> str:
        """Keep the files of a former start if they are good; otherwise `issue`.

        Returns what was wrong with those that were replaced; empty if none were.
        """
        reason = ""
        if certificate.exists() and key.exists():
            try:
                self.check(subject, certificate, key)
                return ""
            except (OSError, ValueError) as error:
                reason = str(error)
        self.issue(subject, certificate, key)
        return reason

    def sign(self, subject: Subject) -> tuple[bytes, bytes]:
        """A certificate for both ends of TLS, and its new key, as PEM texts."""
        private = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder(_name(subject), self._certificate.subject, private, self._clock)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(authority=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage(
                    [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
                ),
                critical=False,
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )
        if names := _alternative_names(subject):
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return _pem(builder.sign(self._key, hashes.SHA256())), _key_pem(private)

    def check(self, subject: Subject, certificate: Path, key: Path) -> None:
        """Raise ValueError, with the reason, unless `issue` may have written these files."""
        private = serialization.load_pem_private_key(key.read_bytes(), password=None)
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
        if found.public_key() != private.public_key():
            raise ValueError("the key is another one's")
        if found.subject != _name(subject):
            raise ValueError(f"it is for {found.subject.rfc4514_string()}")
        try:
            found.verify_directly_issued_by(self._certificate)
        except (InvalidSignature, TypeError) as error:
            raise ValueError("another authority signed it") from error
        if missing := set(_alternative_names(subject)) - set(_named(found)):
            names = ", ".join(sorted(str(name.value) for name in missing))
            raise ValueError(f"it does not name {names}")
        if found.not_valid_after_utc.timestamp() <= self._clock():
            raise ValueError(f"it ended on {found.not_valid_after_utc:%Y-%m-%d}")


def _name(subject: Subject) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, o) for o in subject.organisations]
        + [x509.NameAttribute(NameOID.COMMON_NAME, subject.common_name)]
    )


def _alternative_names(subject: Subject) -> list[x509.GeneralName]:
    return [
        *(x509.IPAddress(ipaddress.ip_address(address)) for address in subject.addresses),
        *(x509.DNSName(name) for name in subject.host_names),
    ]


def _named(certificate: x509.Certificate) -> list[x509.GeneralName]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return list(found.value)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, clock: WallClock
) -> x509.CertificateBuilder:
    now = datetime.datetime.fromtimestamp(clock(), datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + LIFETIME)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
