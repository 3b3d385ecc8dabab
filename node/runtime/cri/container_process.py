"""From a container's configuration to the process that it means. Pure."""

import signal
from collections.abc import Mapping
from pathlib import PurePath

from podling.node.cripb import api_pb2 as cri
from podling.node.runtime.cri import pod_files
from podling.node.runtime.cri.records import ContainerRecord, SandboxRecord
from podling.node.runtime.launcher.protocol import Bind, ExecSpec, ProcessSpec

DEFAULT_ENVIRONMENT: Mapping[str, str] = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
}


def process_spec(
    record: ContainerRecord,
    sandbox: SandboxRecord,
    folder: PurePath,
    environment: Mapping[str, str],
    own_mounts: bool,
) -> ProcessSpec:
    """The process of a container; `folder` is its sandbox's.

    `environment` is what every container of the node has; `own_mounts` says whether it can be given
    /etc/resolv.conf and /etc/hosts of its own.
    """
    security = record.config.linux.security_context
    return ProcessSpec(
        argv=record.argv,
        env=environment_of(record, sandbox, folder, environment),
        cwd=working_folder(record, folder),
        log_path=record.log_path,
        binds=_binds(record, sandbox, folder, own_mounts),
        scratch=str(folder / f"mounts-{record.id}"),
        user=security.run_as_user.value if security.HasField("run_as_user") else None,
        group=_group(security),
        groups=tuple(security.supplemental_groups),
        no_new_privileges=security.no_new_privs,
    )


def exec_spec(
    record: ContainerRecord,
    sandbox: SandboxRecord,
    folder: PurePath,
    environment: Mapping[str, str],
    request: cri.ExecSyncRequest,
) -> ExecSpec:
    return ExecSpec(
        argv=tuple(request.cmd),
        env=environment_of(record, sandbox, folder, environment),
        cwd=working_folder(record, folder),
        timeout=float(request.timeout),
    )


def environment_of(
    record: ContainerRecord,
    sandbox: SandboxRecord,
    folder: PurePath,
    environment: Mapping[str, str],
) -> dict[str, str]:
    """Nothing of the node's own environment gets in, only what is named here."""
    own = {"HOME": str(folder / "work"), "TMPDIR": str(folder / "tmp")}
    if record.config.linux.security_context.run_as_user.value:
        own = {}  # The way there may be closed to another user.
    env = {**DEFAULT_ENVIRONMENT, **own, **environment}
    if sandbox.config.hostname:
        env["HOSTNAME"] = sandbox.config.hostname
    env.update({entry.key: entry.value for entry in record.config.envs})
    return env


def working_folder(record: ContainerRecord, folder: PurePath) -> str:
    return record.config.working_dir or str(folder / "work")


def stop_signal(config: cri.ContainerConfig) -> int:
    """The kernel's number of the container's stop signal."""
    if config.stop_signal == cri.RUNTIME_DEFAULT:
        return signal.SIGTERM
    name = cri.Signal.Name(config.stop_signal)
    for base in ("SIGRTMIN", "SIGRTMAX"):
        if name.startswith(base):
            offset = name.removeprefix(base).replace("PLUS", "+").replace("MINUS", "-")
            return int(signal.Signals[base]) + int(offset or 0)
    return int(signal.Signals[name])


def _binds(
    record: ContainerRecord, sandbox: SandboxRecord, folder: PurePath, own_mounts: bool
) -> tuple[Bind, ...]:
    binds = [
        Bind(mount.host_path, mount.container_path, mount.readonly)
        for mount in record.config.mounts
    ]
    if own_mounts:
        taken = {bind.target for bind in binds}
        for name, target, present in (
            ("resolv.conf", pod_files.RESOLV_CONF, sandbox.has_resolver),
            ("hosts", pod_files.HOSTS, not sandbox.host_network),
        ):
            if present and target not in taken:
                binds.append(Bind(str(folder / name), target))
    return tuple(binds)


def _group(security: cri.LinuxContainerSecurityContext) -> int | None:
    if security.HasField("run_as_group"):
        return security.run_as_group.value
    # A user without a group of its own runs with the group 0, as in container engines.
    return 0 if security.HasField("run_as_user") else None
