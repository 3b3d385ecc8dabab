"""The launcher's socket: frames in, `Launcher` calls, frames out."""

import asyncio
import base64
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from podling.aiokit.tasks import TaskSet
from podling.node.runtime.launcher import protocol
from podling.node.runtime.launcher.launcher import Launcher
from podling.node.runtime.launcher.protocol import LauncherError, ProcessRecord, ProtocolError

log = logging.getLogger(__name__)

SOCKET_PATH_LIMIT = 107
"""Bytes of a Unix socket's path (unix(7): sun_path, with its final zero)."""

UNSENT_LIMIT = 4 * protocol.FRAME_LIMIT
"""Bytes that a connection may leave unread before it is cut off."""

CLOSE_TIMEOUT = 1.0
"""Seconds that connections have to end when the server stops."""


class LauncherServer:
    """Serves one launcher on a Unix socket that only this user may open."""

    def __init__(self, path: Path, capabilities: Mapping[str, str]) -> None:
        self._path = path
        self._capabilities = dict(capabilities)
        self._tasks = TaskSet("launcher")
        self._connections: set[_Connection] = set()
        self._readers: set[asyncio.Task[None]] = set()
        """One for each connection, made by asyncio; ends when the connection does."""
        self._server: asyncio.Server | None = None

    async def start(self, launcher: Launcher) -> None:
        """Raises OSError if the socket cannot be had."""
        if len(os.fsencode(self._path)) > SOCKET_PATH_LIMIT:
            raise OSError(f"socket path {self._path} is longer than {SOCKET_PATH_LIMIT} bytes")
        self._launcher = launcher
        self._path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, self._path)
        finally:
            os.umask(before)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        await self._tasks.close()
        for connection in self._connections:
            connection.writer.close()
        # One that is cancelled by the loop's end instead would be reported as an error.
        if self._readers:
            await asyncio.wait(self._readers, timeout=CLOSE_TIMEOUT)
        self._path.unlink(missing_ok=True)

    def tell_ended(self, record: ProcessRecord) -> None:
        """Send an end to every connection that watches."""
        for connection in self._connections:
            if connection.watches:
                connection.send({"exited": record.to_json()})

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(self._launcher, writer, self._tasks)
        self._connections.add(connection)
        if (task := asyncio.current_task()) is not None:
            self._readers.add(task)
            task.add_done_callback(self._readers.discard)
        try:
            connection.send({"launcher": protocol.VERSION, "capabilities": self._capabilities})
            while True:
                header = await reader.readexactly(protocol.HEADER_SIZE)
                body = await reader.readexactly(protocol.body_size(header))
                connection.receive(protocol.decode(body))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except ProtocolError as error:
            log.error("closing a connection: %s", error)
        finally:
            self._connections.discard(connection)
            connection.close()


class _Connection:
    """One client. Closing it ends the commands that it runs, but no container."""

    def __init__(self, launcher: Launcher, writer: asyncio.StreamWriter, tasks: TaskSet) -> None:
        self._launcher = launcher
        self.writer = writer
        self._tasks = tasks
        self._execs: dict[int, asyncio.Task[None]] = {}
        self.watches = False
        self._calls: dict[str, Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]] = {
            "watch": self._watch,
            "start": self._start,
            "stop": self._stop,
            "exec": self._exec,
            "forget": self._forget,
            "reopen_log": self._reopen_log,
            "cancel": self._cancel,
        }

    def receive(self, message: dict[str, Any]) -> None:
        number, do = message.get("call"), message.get("do")
        if not isinstance(number, int) or do not in self._calls:
            raise ProtocolError(f"no such call: {do!r}")
        task = self._tasks.spawn(self._answer(number, self._calls[do], message), name=str(do))
        if do == "exec":
            self._execs[number] = task
            task.add_done_callback(lambda _: self._execs.pop(number, None))

    def send(self, message: dict[str, Any]) -> None:
        if self.writer.is_closing():
            return
        if self.writer.transport.get_write_buffer_size() > UNSENT_LIMIT:
            log.error("closing a connection that does not read")
            self.writer.transport.abort()
            return
        self.writer.write(protocol.encode(message))

    def close(self) -> None:
        for task in list(self._execs.values()):
            task.cancel()
        self.writer.close()

    async def _answer(
        self,
        number: int,
        call: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]],
        message: dict[str, Any],
    ) -> None:
        try:
            self.send({"call": number, "result": await call(message)})
        except LauncherError as error:
            self._refuse(number, error.code, str(error))
        except (ProtocolError, KeyError, TypeError, ValueError) as error:
            self._refuse(number, "invalid", f"{type(error).__name__}: {error}")
        except OSError as error:
            log.error("call %s failed: %s", message.get("do"), error, exc_info=error)
            self._refuse(number, "internal", str(error))

    def _refuse(self, number: int, code: protocol.ErrorCode, text: str) -> None:
        self.send({"call": number, "error": {"code": code, "message": text}})

    async def _watch(self, message: dict[str, Any]) -> dict[str, Any]:
        self.watches = True
        return {"processes": [record.to_json() for record in self._launcher.records()]}

    async def _start(self, message: dict[str, Any]) -> dict[str, Any]:
        spec = protocol.spec_from_json(message["spec"])
        return {"process": (await self._launcher.start(message["id"], spec)).to_json()}

    async def _stop(self, message: dict[str, Any]) -> dict[str, Any]:
        record = await self._launcher.stop(
            message["id"], int(message["signal"]), float(message["grace"])
        )
        return {"process": record.to_json()}

    async def _exec(self, message: dict[str, Any]) -> dict[str, Any]:
        spec = protocol.exec_from_json(message["spec"])
        result = await self._launcher.exec(message["id"], spec)
        return {
            "exit_code": result.exit_code,
            "stdout": base64.b64encode(result.stdout).decode(),
            "stderr": base64.b64encode(result.stderr).decode(),
            "timed_out": result.timed_out,
        }

    async def _forget(self, message: dict[str, Any]) -> dict[str, Any]:
        self._launcher.forget(message["id"])
        return {}

    async def _reopen_log(self, message: dict[str, Any]) -> dict[str, Any]:
        self._launcher.reopen_log(message["id"])
        return {}

    async def _cancel(self, message: dict[str, Any]) -> dict[str, Any]:
        task = self._execs.get(int(message["cancelled"]))
        if task is not None:
            task.cancel()
        return {}
