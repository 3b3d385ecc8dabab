"""The launcher: starts, stops and remembers processes. Its face to others is `server`.

A process is known from `start` until `forget`, across restarts of the launcher: first as running,
then as ended with its exit code. Whatever changes is on disk before it is told.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from podling.aiokit.clock import WallClock
from podling.node.runtime.launcher import child, mount_plan, process_table
from podling.node.runtime.launcher.mount_namespace import Way
from podling.node.runtime.launcher.output import Capture, Discard, LogFile, Pump, Sink
from podling.node.runtime.launcher.process_files import MARKER, ProcessFiles
from podling.node.runtime.launcher.protocol import (
    ExecResult,
    ExecSpec,
    LauncherError,
    ProcessRecord,
    ProcessSpec,
)
from podling.node.runtime.launcher.reaper import Reaper
from podling.node.runtime.launcher.supervised import Supervised, decode_status

log = logging.getLogger(__name__)

OnEnded = Callable[[ProcessRecord], None]


@dataclass(frozen=True, slots=True)
class LauncherLimits:
    """The bounds of what one launcher does."""

    log_bytes: int = 10 * 1024 * 1024
    """Size at which a container's log is rotated (kubelet: containerLogMaxSize)."""
    log_files: int = 5
    """Files kept of one container, with the current one (kubelet: containerLogMaxFiles)."""
    exec_output_bytes: int = 16 * 1024 * 1024
    """What is kept of each output of a command run beside a container."""
    processes: int = 2000
    """Containers and commands at one time."""


class Launcher:
    """All processes of one node. Lives on one event loop, in the process's main thread."""

    def __init__(
        self,
        limits: LauncherLimits,
        files: ProcessFiles,
        reaper_marker: str,
        way: Way,
        wall_clock: WallClock,
        on_ended: OnEnded,
    ) -> None:
        """`way`: how mounts can be had here. `on_ended` is told of every end, once."""
        self._limits = limits
        self._files = files
        self._marker = reaper_marker
        self._way = way
        self._wall_clock = wall_clock
        self._on_ended = on_ended
        self._boot_id = process_table.boot_id()
        self._records: dict[str, ProcessRecord] = {}
        self._running: dict[str, Supervised] = {}
        self._starting: set[str] = set()
        """Processes of which it is not known yet whether their exec takes place."""
        self._execs: set[int] = set()
        self._reaper = Reaper(reaper_marker, self._process_ended)
        self._null = -1
        self._closing = False

    def open(self, remembered: Sequence[ProcessRecord]) -> None:
        """Begin to reap. Of what an earlier launcher left running, nothing lives any more."""
        self._null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for record in remembered:
            if not record.finished_at:
                record.finished_at = self._now()
                record.exit_code, record.signal = 128 + signal.SIGKILL, signal.SIGKILL
                record.message = "the node's launcher ended while this container was running"
                self._files.save(record)
            self._records[record.id] = record
        self._reaper.start()

    async def close(self, grace: float) -> None:
        """Stop everything that runs, with `grace` seconds between SIGTERM and SIGKILL."""
        self._closing = True
        running = list(self._running.values())
        for process in running:
            self._begin_stop(process, signal.SIGTERM, grace)
        for process in running:
            await process.settled.wait()
        self._reaper.stop()
        self._reaper.kill_everything()
        os.close(self._null)

    def records(self) -> list[ProcessRecord]:
        return list(self._records.values())

    async def start(self, process_id: str, spec: ProcessSpec) -> ProcessRecord:
        """Start a process; returns when its command runs.

        Raises LauncherError: `exists`, `invalid`, or `start_failed`, and then the process is
        remembered as ended, with the exit code and message of the failure. Never to be cancelled.
        """
        if process_id in self._records:
            raise LauncherError("exists", f"process {process_id} exists already")
        if not spec.argv or not process_id.replace("-", "").isalnum():
            raise LauncherError("invalid", "a process needs an id and a command")
        self._check_room()
        try:
            plan = self._child_plan(process_id, spec)
            log_file = self._open_log(spec.log_path)
            made, pumps = self._fork(plan, _log_sinks(log_file))
        except LauncherError as error:
            self._remember_refused(process_id, str(error))
            raise
        process = Supervised(made.pid, process_id, spec=spec, pumps=pumps, log_file=log_file)
        self._reaper.add(process)
        self._running[process_id] = process
        self._starting.add(process_id)
        stat = process_table.stat(made.pid)
        record = ProcessRecord(
            process_id, made.pid, stat.start_ticks if stat else 0, self._boot_id, self._now(),
            has_namespace=plan.mounts is not None,
        )  # fmt: skip
        self._records[process_id] = record
        self._files.save(record)
        record.message = await self._let_go(made)
        self._starting.discard(process_id)
        record.ran, record.started_at = not record.message, self._now()
        if process.ended.is_set():
            self._settle(process)
        else:
            self._files.save(record)
        if record.message:
            await process.settled.wait()
            raise LauncherError("start_failed", record.message)
        return record

    async def stop(self, process_id: str, number: int, grace: float) -> ProcessRecord:
        """Signal a process, SIGKILL it after `grace` seconds; returns when it has ended.

        May be asked again with a shorter grace. Raises LauncherError `not_found`.
        """
        record = self._record(process_id)
        process = self._running.get(process_id)
        if process is not None:
            self._begin_stop(process, number, grace)
            await process.settled.wait()
        return record

    async def exec(self, process_id: str, spec: ExecSpec) -> ExecResult:
        """Run a command beside a process and return what it printed.

        Ends it when the time-out passes, when the process ends, and when this call is cancelled.
        Raises LauncherError: `not_found`, `not_running`, `start_failed`.
        """
        record = self._record(process_id)
        if process_id not in self._running or not record.ran:
            raise LauncherError("not_running", f"container {process_id} is not running")
        self._check_room()
        out = Capture(self._limits.exec_output_bytes)
        err = Capture(self._limits.exec_output_bytes)
        made, pumps = self._fork(self._exec_plan(record, spec), (out, err))
        process = Supervised(
            made.pid, process_id, self._running[process_id].spec, is_exec=True, pumps=pumps
        )
        self._reaper.add(process)
        self._execs.add(made.pid)
        timed_out = False
        try:
            async with asyncio.timeout(spec.timeout or None):
                failure = await self._let_go(made)
                await process.ended.wait()
        except TimeoutError:
            timed_out, failure = True, ""
        finally:
            if not process.ended.is_set():
                self._reaper.kill(process)
            process.close_output()
        if failure:
            raise LauncherError("start_failed", failure)
        code = decode_status(process.exit_status)[0] if process.exit_status is not None else 137
        return ExecResult(code, out.content(), err.content(), timed_out)

    def forget(self, process_id: str) -> None:
        """Drop an ended process; an unknown one is no error. Raises LauncherError `invalid`."""
        if process_id in self._running:
            raise LauncherError("invalid", f"process {process_id} still runs: stop it first")
        if self._records.pop(process_id, None) is not None:
            self._files.delete(process_id)

    def reopen_log(self, process_id: str) -> None:
        """Go on in a new log file. Raises LauncherError `not_found`, `not_running`, `internal`."""
        self._record(process_id)
        process = self._running.get(process_id)
        if process is None:
            raise LauncherError("not_running", f"container {process_id} is not running")
        if process.log_file is not None:
            try:
                process.log_file.reopen()
            except OSError as error:
                raise LauncherError("internal", f"cannot reopen the log: {error}") from None

    def _record(self, process_id: str) -> ProcessRecord:
        record = self._records.get(process_id)
        if record is None:
            raise LauncherError("not_found", f"no process {process_id}")
        return record

    def _check_room(self) -> None:
        if self._closing:
            raise LauncherError("internal", "the node's launcher is stopping")
        if len(self._running) + len(self._execs) >= self._limits.processes:
            raise LauncherError(
                "internal", f"this node already runs {self._limits.processes} processes"
            )

    def _begin_stop(self, process: Supervised, number: int, grace: float) -> None:
        if grace <= 0:
            self._reaper.kill(process)
            return
        if not self._reaper.signal(process, number):
            return
        deadline = asyncio.get_running_loop().time() + grace
        if process.kill_timer is None or process.kill_timer.when() > deadline:
            process.cancel_kill()
            process.kill_timer = asyncio.get_running_loop().call_at(
                deadline, self._reaper.kill, process
            )

    def _child_plan(self, process_id: str, spec: ProcessSpec) -> child.ChildPlan:
        spec = _as_user(spec)
        mounts = None
        if spec.binds and self._way == "none":
            unseen = mount_plan.unseen(spec.binds, _same_file)
            if unseen:
                raise LauncherError(
                    "start_failed",
                    f"cannot mount {unseen[0].source} at {unseen[0].target}: this node may not "
                    "make mount namespaces (run it as root, or allow user namespaces)",
                )
        elif spec.binds:
            try:
                mounts = mount_plan.plan(spec.binds, _kind_of, os.path.realpath)
            except mount_plan.MountError as error:
                raise LauncherError("start_failed", str(error)) from None
            os.makedirs(spec.scratch, mode=0o700, exist_ok=True)
        env = {**spec.env, MARKER: f"{self._marker}/{process_id}"}
        return child.ChildPlan(
            spec.argv, env, spec.cwd, self._null, self._null, self._null, self._way, mounts,
            spec.scratch, user=spec.user, group=spec.group, groups=spec.groups,
            no_new_privileges=spec.no_new_privileges,
        )  # fmt: skip

    def _exec_plan(self, record: ProcessRecord, spec: ExecSpec) -> child.ChildPlan:
        env = {**spec.env, MARKER: f"{self._marker}/{record.id}"}
        beside = _as_user(self._running[record.id].spec)
        return child.ChildPlan(
            spec.argv, env, spec.cwd, self._null, self._null, self._null, self._way,
            join=record.pid if record.has_namespace else 0, user=beside.user, group=beside.group,
            groups=beside.groups, no_new_privileges=beside.no_new_privileges,
        )  # fmt: skip

    def _open_log(self, path: str) -> LogFile | None:
        if not path:
            return None
        try:
            return LogFile(path, self._wall_clock, self._limits.log_bytes, self._limits.log_files)
        except OSError as error:
            raise LauncherError("start_failed", f"cannot write the log: {error}") from None

    def _fork(
        self, plan: child.ChildPlan, sinks: tuple[Sink, Sink]
    ) -> tuple[child.Child, list[Pump]]:
        loop = asyncio.get_running_loop()
        fds: list[int] = []
        try:
            fds += os.pipe2(os.O_CLOEXEC)
            fds += os.pipe2(os.O_CLOEXEC)
            made = child.fork(replace(plan, stdout=fds[1], stderr=fds[3]))
        except OSError as error:
            for fd in fds[0::2]:
                os.close(fd)
            for sink in sinks:
                sink.end()
            raise LauncherError("start_failed", f"cannot start a process: {error}") from None
        finally:
            for fd in fds[1::2]:
                os.close(fd)
        pumps = [
            Pump(fd, sink, loop.add_reader, loop.remove_reader)
            for fd, sink in zip(fds[0::2], sinks, strict=True)
        ]
        return made, pumps

    async def _let_go(self, made: child.Child) -> str:
        """Let the child exec; returns what failed, or the empty text when it runs."""
        try:
            os.write(made.go, b"g")
        except BrokenPipeError:
            pass  # It failed before it came to wait; `status` says how.
        finally:
            os.close(made.go)
        return child.failure(await _read_all(made.status))

    def _process_ended(self, process: Supervised) -> None:
        if process.is_exec:
            self._execs.discard(process.pid)
        elif process.owner not in self._starting:
            self._settle(process)

    def _settle(self, process: Supervised) -> None:
        """Nothing of the process is left: remember its end, and tell it."""
        record = self._records[process.owner]
        assert process.exit_status is not None
        record.exit_code, record.signal = decode_status(process.exit_status)
        record.finished_at = self._now()
        self._files.save(record)
        process.close_output()
        self._running.pop(process.owner)
        process.settled.set()
        self._on_ended(record)

    def _remember_refused(self, process_id: str, message: str) -> None:
        now = self._now()
        record = ProcessRecord(
            process_id, 0, 0, self._boot_id, now, now, child.EXIT_SETUP, message=message
        )
        self._records[process_id] = record
        self._files.save(record)
        self._on_ended(record)

    def _now(self) -> int:
        return int(self._wall_clock() * 1e9)


def _as_user(spec: ProcessSpec) -> ProcessSpec:
    """Without root there is one user to be: leave out what asks for it, refuse what does not."""
    if os.getuid() == 0:
        return spec
    if spec.user not in (None, os.getuid()):
        raise LauncherError(
            "start_failed",
            f"cannot run as user {spec.user}: this node runs as user {os.getuid()}, without root",
        )
    return replace(spec, user=None, group=None, groups=())


def _log_sinks(log_file: LogFile | None) -> tuple[Sink, Sink]:
    if log_file is None:
        return Discard(), Discard()
    return log_file.stream("stdout"), log_file.stream("stderr")


def _kind_of(path: str) -> mount_plan.Kind:
    if os.path.isdir(path):
        return "folder"
    return "file" if os.path.exists(path) else "missing"


def _same_file(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


async def _read_all(fd: int) -> bytes:
    """Everything until end of file, from a non-blocking pipe; closes it."""
    loop = asyncio.get_running_loop()
    parts: list[bytes] = []
    ended = loop.create_future()

    def readable() -> None:
        data = os.read(fd, 4096)
        if data:
            parts.append(data)
        elif not ended.done():
            ended.set_result(None)

    loop.add_reader(fd, readable)
    try:
        await ended
    finally:
        loop.remove_reader(fd)
        os.close(fd)
    return b"".join(parts)
