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


class CertificateFiles:
    """Notices when the files are others than before, so that a renewed certificate needs no
    restart. Asked at every new connection, from whatever thread."""

    def __init__(self, tls: ServerCertificate) -> None:
        self._tls = tls
        self._seen = self._stamps()

    def renewed(self) -> bool:
        """Whether there are other files, and they are whole and fit together."""
        try:
            stamps = self._stamps()
            if stamps == self._seen:
                return False
            self._tls.context()
        except OSError:
            # Half written: until they are whole the old ones are good enough.
            return False
        self._seen = stamps
        return True

    def _stamps(self) -> list[tuple[int, int]]:
        paths = (self._tls.certificate, self._tls.key, self._tls.client_ca)
        found = [path.stat() for path in paths if path is not None]
        return [(each.st_mtime_ns, each.st_ino) for each in found]


def renewing_context(tls: ServerCertificate) -> ssl.SSLContext:
    """A context that hands each connection on to that of the newest files. Raises OSError."""
    files, first = CertificateFiles(tls), tls.context()
    newest = first

    def choose(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        nonlocal newest
        if files.renewed():
            newest = tls.context()
        if newest is not first:
            connection.context = newest

    first.sni_callback = choose
    return first
