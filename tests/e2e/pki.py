"""Certificates for tests of processes."""

from pathlib import Path

from podling.aiokit.clock import system_wall_clock
from podling.launcher.certificates import Authority, Subject


class Pki:
    """An authority, and files of what it signs."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder / name
        self._folder.mkdir()
        self._authority = Authority.create(name, system_wall_clock)
        self._authority.save(self._folder / "ca.crt", self._folder / "ca.key")

    @property
    def authority(self) -> Path:
        return self._folder / "ca.crt"

    def issue(self, name: str) -> tuple[Path, Path]:
        certificate, key = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        subject = Subject(name, (), ["127.0.0.1"], ["localhost"])
        self._authority.issue(subject, certificate, key)
        return certificate, key

    def flags(self, prefix: str, name: str) -> list[str]:
        certificate, key = self.issue(name)
        return [
            f"--{prefix}cert-file={certificate}",
            f"--{prefix}key-file={key}",
            f"--{prefix}trusted-ca-file={self.authority}",
        ]

    def client_flags(self, name: str) -> tuple[str, ...]:
        certificate, key = self.issue(name)
        return (f"--cacert={self.authority}", f"--cert={certificate}", f"--key={key}")
