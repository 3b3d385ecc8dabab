"""The records of sandboxes and containers on disk.

    STATE_DIR/sandboxes/ID/sandbox.json        SandboxRecord
                          /container-CID.json  ContainerRecord
                          /resolv.conf, hosts  what its containers see there
                          /tmp, /work          its temporary folder, and its working folder
                          /mounts-CID          an empty folder on which mounts are built

Configurations may hold secrets (environment variables), hence files are 0600.
"""

import base64
import os
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message

from podling.node.cripb import api_pb2 as cri
from podling.node.runtime.cri import pod_files
from podling.node.runtime.cri.records import ContainerRecord, SandboxRecord
from podling.node.runtime.launcher.process_files import damaged, read_json, write_json

M = TypeVar("M", bound=Message)


class RecordFiles:
    """The records of one node."""

    def __init__(self, state_dir: Path) -> None:
        self._root = state_dir / "sandboxes"

    def load(self) -> tuple[list[SandboxRecord], list[ContainerRecord]]:
        """Raises StateError if a file is damaged; a sandbox half made is forgotten."""
        self._root.mkdir(mode=0o711, parents=True, exist_ok=True)
        sandboxes, containers = [], []
        for path in sorted(self._root.glob("*/sandbox.json")):
            sandboxes.append(_sandbox(path))
            for other in sorted(path.parent.glob("container-*.json")):
                containers.append(_container(other, path.parent.name))
        return sandboxes, containers

    def unknown_folders(self) -> list[Path]:
        """What is left of sandboxes whose making or removal was cut short."""
        return [path for path in self._root.iterdir() if not (path / "sandbox.json").exists()]

    def folder(self, sandbox_id: str) -> Path:
        return self._root / sandbox_id

    def make_sandbox(self, record: SandboxRecord) -> None:
        """Its folders and files. Raises OSError."""
        folder = self.folder(record.id)
        folder.mkdir(mode=0o711)
        (folder / "tmp").mkdir(mode=0o700)
        (folder / "work").mkdir(mode=0o700)
        if record.has_resolver:
            dns = record.config.dns_config
            text = pod_files.resolv_conf(dns.servers, dns.searches, dns.options)
            (folder / "resolv.conf").write_text(text)
        if not record.host_network:
            text = pod_files.hosts(record.config.hostname, record.addresses)
            (folder / "hosts").write_text(text)
        self.save_sandbox(record)

    def save_sandbox(self, record: SandboxRecord) -> None:
        values = {
            "id": record.id,
            "config": _pack(record.config),
            "created_at": record.created_at,
            "addresses": list(record.addresses),
            "ready": record.ready,
        }
        write_json(self.folder(record.id) / "sandbox.json", values)

    def save_container(self, record: ContainerRecord) -> None:
        values = {
            "id": record.id,
            "config": _pack(record.config),
            "created_at": record.created_at,
            "argv": list(record.argv),
            "log_path": record.log_path,
            "started": record.started,
        }
        write_json(self._container_path(record), values)

    def delete_container(self, record: ContainerRecord) -> None:
        self._container_path(record).unlink(missing_ok=True)

    def delete_sandbox(self, sandbox_id: str) -> Path:
        """Forget it now; the folder returned is the caller's to remove."""
        folder = self.folder(sandbox_id)
        (folder / "sandbox.json").unlink(missing_ok=True)
        return folder

    def open_to_all(self, sandbox_id: str) -> None:
        """Let containers of another user write where the pod may write."""
        for name in ("tmp", "work"):
            os.chmod(self.folder(sandbox_id) / name, 0o1777)

    def _container_path(self, record: ContainerRecord) -> Path:
        return self.folder(record.sandbox_id) / f"container-{record.id}.json"


def _sandbox(path: Path) -> SandboxRecord:
    values = read_json(path)
    try:
        return SandboxRecord(
            id=_same(values["id"], path.parent.name),
            config=_unpack(values["config"], cri.PodSandboxConfig),
            created_at=int(values["created_at"]),
            addresses=tuple(map(str, values["addresses"])),
            ready=bool(values["ready"]),
        )
    except (KeyError, TypeError, ValueError, DecodeError) as error:
        raise damaged(path, f"{type(error).__name__}: {error}") from None


def _container(path: Path, sandbox_id: str) -> ContainerRecord:
    values = read_json(path)
    try:
        return ContainerRecord(
            id=_same(values["id"], path.stem.removeprefix("container-")),
            sandbox_id=sandbox_id,
            config=_unpack(values["config"], cri.ContainerConfig),
            created_at=int(values["created_at"]),
            argv=tuple(map(str, values["argv"])),
            log_path=str(values["log_path"]),
            started=bool(values["started"]),
        )
    except (KeyError, TypeError, ValueError, DecodeError) as error:
        raise damaged(path, f"{type(error).__name__}: {error}") from None


def _same(found: Any, wanted: str) -> str:
    if found != wanted:
        raise ValueError(f"it is of {found!r}")
    return wanted


def _pack(message: Message) -> str:
    return base64.b64encode(message.SerializeToString()).decode()


def _unpack(text: str, kind: type[M]) -> M:
    return kind.FromString(base64.b64decode(text, validate=True))
