"""The CRI server's end of the launcher's socket: calls, ends of processes, and reconnection."""

import asyncio
import base64
import logging
import random
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from podling.aiokit.backoff import Backoff
from podling.aiokit.tasks import TaskSet
from podling.node.runtime.launcher import protocol
from podling.node.runtime.launcher.protocol import (
    ExecResult,
    ExecSpec,
    LauncherError,
    ProcessRecord,
    ProcessSpec,
    ProtocolError,
)

log = logging.getLogger(__name__)


class LauncherGone(Exception):
    """The launcher cannot be reached, or went away before it answered."""


class LauncherClient:
    """Talks to one launcher; connects again, with back-off, when the connection ends.

    `on_snapshot` is given every process the launcher knows each time a connection stands, and
    `on_exited` each end after that: together they miss nothing.
    """

    def __init__(
        self,
        path: Path,
        dice: random.Random,
        on_snapshot: Callable[[list[ProcessRecord]], None],
        on_exited: Callable[[ProcessRecord], None],
    ) -> None:
        self._path = path
        self._backoff = Backoff(first=0.02, cap=1.0, dice=dice)
        self._on_snapshot = on_snapshot
        self._on_exited = on_exited
        self._tasks = TaskSet("launcher-client")
        self._writer: asyncio.StreamWriter | None = None
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._calls = 0
        self._connected = asyncio.Event()
        self.trouble = "not connected yet"
        """Why the launcher cannot be used, for people; empty when it can."""
        self.capabilities: dict[str, str] = {}

    async def start(self, timeout: float) -> None:
        """Returns when connected. Raises LauncherGone after `timeout` seconds."""
        self._tasks.spawn(self._stay_connected(), name="connection")
        try:
            async with asyncio.timeout(timeout):
                await self._connected.wait()
        except TimeoutError:
            raise LauncherGone(f"no launcher at {self._path}: {self.trouble}") from None

    async def stop(self) -> None:
        await self._tasks.close()
        self._disconnected()

    async def start_process(self, process_id: str, spec: ProcessSpec) -> ProcessRecord:
        """Raises LauncherError or LauncherGone, as all calls here do."""
        answer = await self._call("start", id=process_id, spec=asdict(spec))
        return protocol.record_from_json(answer["process"])

    async def stop_process(self, process_id: str, number: int, grace: float) -> ProcessRecord:
        answer = await self._call("stop", id=process_id, signal=number, grace=grace)
        return protocol.record_from_json(answer["process"])

    async def exec(self, process_id: str, spec: ExecSpec) -> ExecResult:
        """Cancelling this call ends the command."""
        answer = await self._call("exec", id=process_id, spec=asdict(spec))
        return ExecResult(
            exit_code=answer["exit_code"],
            stdout=base64.b64decode(answer["stdout"]),
            stderr=base64.b64decode(answer["stderr"]),
            timed_out=answer["timed_out"],
        )

    async def forget(self, process_id: str) -> None:
        await self._call("forget", id=process_id)

    async def reopen_log(self, process_id: str) -> None:
        await self._call("reopen_log", id=process_id)

    async def _call(self, do: str, **values: Any) -> dict[str, Any]:
        writer = self._writer
        if writer is None:
            raise LauncherGone(self.trouble)
        self._calls += 1
        number = self._calls
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            writer.write(protocol.encode({"call": number, "do": do, **values}))
            return await answer
        except asyncio.CancelledError:
            if do == "exec" and not writer.is_closing():
                self._calls += 1
                writer.write(
                    protocol.encode({"call": self._calls, "do": "cancel", "cancelled": number})
                )
            raise
        finally:
            self._waiting.pop(number, None)

    async def _stay_connected(self) -> None:
        while True:
            try:
                await self._connection()
            except (OSError, asyncio.IncompleteReadError) as error:
                self.trouble = (
                    f"the node's launcher, which owns its pods, does not answer ({error}): "
                    "start it again"
                )
            except ProtocolError as error:
                self.trouble = str(error)
                log.error("the launcher at %s: %s", self._path, error)
            finally:
                self._disconnected()
            await asyncio.sleep(self._backoff.next())

    async def _connection(self) -> None:
        reader, writer = await asyncio.open_unix_connection(self._path)
        self._writer = writer
        hello = await self._read(reader)
        if hello.get("launcher") != protocol.VERSION:
            raise ProtocolError(
                f"it speaks version {hello.get('launcher')!r}, this program {protocol.VERSION}: "
                "restart the node, so that both are of one release"
            )
        self.capabilities = hello["capabilities"]
        writer.write(protocol.encode({"call": 0, "do": "watch"}))
        while True:
            message = await self._read(reader)
            if message.get("call") == 0:
                self._snapshot(message)
            elif "exited" in message:
                self._on_exited(protocol.record_from_json(message["exited"]))
            else:
                self._answered(message)

    async def _read(self, reader: asyncio.StreamReader) -> dict[str, Any]:
        header = await reader.readexactly(protocol.HEADER_SIZE)
        return protocol.decode(await reader.readexactly(protocol.body_size(header)))

    def _snapshot(self, message: dict[str, Any]) -> None:
        records = [protocol.record_from_json(item) for item in message["result"]["processes"]]
        self._on_snapshot(records)
        self.trouble = ""
        self._backoff.reset()
        self._connected.set()

    def _answered(self, message: dict[str, Any]) -> None:
        answer = self._waiting.get(message.get("call", -1))
        if answer is None or answer.done():
            return  # The call was cancelled, or it is the answer to a `cancel`.
        if "error" in message:
            error = message["error"]
            answer.set_exception(LauncherError(error["code"], error["message"]))
        else:
            answer.set_result(message["result"])

    def _disconnected(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(
                    LauncherGone("the node's launcher went away before it answered")
                )
