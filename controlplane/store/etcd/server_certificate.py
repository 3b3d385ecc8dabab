"""What a listener for clients shows of itself, and demands of them."""

import ssl
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """Files in PEM form."""

    certificate: Path
    key: Path
    client_ca: Path | None
    """Signs the certificates that clients must show; None: they need none."""
    names_users: bool = True
    """Whether such a certificate says who asks (etcd: --client-cert-auth)."""

    def context(self) -> ssl.SSLContext:
        """For listeners that use the standard library's TLS. Raises OSError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate, self.key)
        if self.client_ca is not None:
            context.load_verify_locations(self.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context
