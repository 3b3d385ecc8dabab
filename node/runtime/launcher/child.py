"""From fork to exec: what happens in the new process, and how the launcher hears of it.

    launcher                          child
    fork ---------------------------> own session, SIGKILL when the launcher dies
    write the process's record        mounts, user, output, working folder
    go (one byte) ------------------> exec
    end of file on `status` <-------- (closed by the exec: it runs)
    or a JSON object on `status` <--- what failed; then the child exits 126, 127 or 128

The record is on disk before a line of the command runs: whatever happens then, its processes can be
found again. All signals are blocked across the fork, because a signal taken by the child would be
written into the launcher's own wake-up pipe.
"""

import errno
import json
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from podling.node.runtime.launcher import linux, mount_namespace
from podling.node.runtime.launcher.mount_namespace import Way
from podling.node.runtime.launcher.mount_plan import MountPlan

EXIT_SETUP = 128
"""What surrounds the command could not be set up (containerd's StartError)."""
EXIT_NOT_FOUND = 127
EXIT_NOT_EXECUTABLE = 126


@dataclass(frozen=True, slots=True)
class ChildPlan:
    """Everything the child needs, worked out before the fork."""

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    stdin: int
    stdout: int
    stderr: int
    way: Way
    mounts: MountPlan | None = None
    scratch: str = ""
    join: int = 0
    """Process whose mount namespace to enter; 0: none."""
    user: int | None = None
    group: int | None = None
    groups: tuple[int, ...] = ()
    no_new_privileges: bool = False


@dataclass(frozen=True, slots=True)
class Child:
    """A process that waits for its go. The caller closes both descriptors."""

    pid: int
    status: int
    """Reads end of file when the command runs, or the JSON of a failure."""
    go: int
    """Write one byte to let it exec; close without a byte to let it end."""


def fork(plan: ChildPlan) -> Child:
    """Make a child that has everything but its go. Raises OSError if the fork fails."""
    status_read, status_write = os.pipe2(os.O_CLOEXEC)
    go_read, go_write = os.pipe2(os.O_CLOEXEC)
    launcher = os.getpid()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            # Otherwise a dead launcher would leave a child that waits for ever.
            os.close(go_write)
            _become(plan, launcher, go_read, status_write)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(status_write)
        os.close(go_read)
    os.set_blocking(status_read, False)
    return Child(pid, status_read, go_write)


def failure(report: bytes) -> str:
    """What the child wrote to `status`, as a text for people; empty if the command runs."""
    if not report:
        return ""
    try:
        return str(json.loads(report)["message"])
    except (ValueError, KeyError, TypeError):
        return "the process ended while it was being set up"


def _become(plan: ChildPlan, launcher: int, go: int, status: int) -> NoReturn:
    code, message = EXIT_SETUP, ""
    try:
        os.setsid()
        linux.die_with_parent()
        _surround(plan)
        _reset_signals()
        linux.die_with_parent()
        if os.getppid() != launcher or os.read(go, 1) != b"g":
            os._exit(EXIT_SETUP)
        code, message = _exec(plan.argv, plan.env)
    except OSError as error:
        message = _describe(error)
    except BaseException as error:  # noqa: BLE001 - the last frame of this process
        message = f"{type(error).__name__}: {error}"
    finally:
        try:
            os.write(status, json.dumps({"message": message}).encode()[:4000])
        finally:
            os._exit(code)


def _surround(plan: ChildPlan) -> None:
    for fd, number in ((plan.stdin, 0), (plan.stdout, 1), (plan.stderr, 2)):
        os.dup2(fd, number)
    linux.close_on_exec_from(3)
    if plan.join:
        mount_namespace.join(plan.join, plan.way)
    elif plan.mounts is not None:
        mount_namespace.enter(plan.way, plan.mounts, plan.scratch)
    # Before the user changes: the way to the folder may be closed to the new one.
    os.chdir(plan.cwd)
    if plan.group is not None or plan.groups:
        os.setgroups(plan.groups)
    if plan.group is not None:
        os.setresgid(plan.group, plan.group, plan.group)
    if plan.user is not None:
        os.setresuid(plan.user, plan.user, plan.user)
    if plan.no_new_privileges:
        linux.forbid_new_privileges()


def _reset_signals() -> None:
    # Python ignores SIGPIPE and SIGXFSZ, and exec keeps what is ignored.
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _exec(argv: Sequence[str], env: dict[str, str]) -> tuple[int, str]:
    """Only returns if it fails: exit code and text, as shells and container engines give them."""
    name = argv[0]
    if "/" in name:
        candidates = [name]
    else:
        folders = env.get("PATH", os.defpath).split(":")
        candidates = [os.path.join(folder or ".", name) for folder in folders]
    refused: OSError | None = None
    for candidate in candidates:
        try:
            os.execve(candidate, list(argv), env)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                refused = refused or error
    if refused is not None:
        return EXIT_NOT_EXECUTABLE, f'exec: "{name}": {refused.strerror}'.lower()
    where = "no such file or directory" if "/" in name else "executable file not found in $PATH"
    return EXIT_NOT_FOUND, f'exec: "{name}": {where}'


def _describe(error: OSError) -> str:
    text = error.strerror or str(error)
    return f"{text}: {error.filename}" if error.filename else text
