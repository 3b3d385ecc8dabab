"""The fork server: a process that imported everything once and forks the cluster's processes.

A process forked from it serves within milliseconds and shares its memory (`docs/decisions/`
tells the figures). It holds the shared API listener, so that a killed replica costs a new
connection nothing: the others, or the replica's successor, accept from the same queue.

It never starts an event loop, a thread or a gRPC channel, because none of them survives a fork. It
restarts nothing on its own: what was killed stays dead until somebody asks.

Protocol: one request a connection, a line of JSON each way; `listen` answers with a descriptor,
of which the fork server keeps a copy for the next who asks, until `release`.

    {"op": "start", "name": "replica-1"}                  {"pid": 4711}
    {"op": "listen", "address": "127.23.0.9", "port": 80} {} and a listening socket
    {"op": "release", "address": "127.23.0.9", "port": 80} {}
    {"op": "ping"}                                        {}
    {"op": "exit"}                                        {}
    anything that fails                                   {"error": "...", "errno": 13}
"""

import contextlib
import gc
import json
import logging
import os
import selectors
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

from setproctitle import setproctitle

from podling.aiokit import logs
from podling.launcher.errors import LauncherError
from podling.launcher.forking import process_lock
from podling.launcher.layout import Layout

log = logging.getLogger(__name__)

NAME = "forkserver"
REQUEST_MAX = 64 * 1024
REQUEST_SECONDS = 5.0
BACKLOG = 1024

#: Runs the process of that name to its end and returns its exit code.
Main = Callable[[str], int]
#: Told the name of a process that ended, and its wait status.
OnExit = Callable[[str, int], None]


class ForkServer:
    """Serves requests until told to exit."""

    def __init__(
        self,
        layout: Layout,
        listener: socket.socket,
        main: Main,
        on_exit: OnExit,
        tether: int | None = None,
    ) -> None:
        """`tether`: the read end of a pipe; see `serve`."""
        self._layout = layout
        self._listener = listener
        self._tether = tether
        self._main = main
        self._on_exit = on_exit
        self._children: dict[int, str] = {}
        self._listeners: dict[tuple[str, int], socket.socket] = {}
        self._exit = False

    def serve(self) -> bool:
        """Answer on `run/forkserver.sock`; the working directory is the cluster's folder.

        Returns whether it ended because the tether was cut, with its children killed.
        """
        path = self._layout.socket(NAME)
        path.unlink(missing_ok=True)
        wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_write)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self._ask_exit())
        with socket.socket(socket.AF_UNIX) as server, selectors.DefaultSelector() as selector:
            server.bind(str(path))
            path.chmod(0o600)
            server.listen(BACKLOG)
            selector.register(server, selectors.EVENT_READ)
            selector.register(wake_read, selectors.EVENT_READ)
            if self._tether is not None:
                selector.register(self._tether, selectors.EVENT_READ)
            gc.collect()
            gc.freeze()  # a collection in a child would copy every shared page
            while not self._exit:
                for key, _ in selector.select():
                    if key.fileobj is server:
                        self._accept(server)
                    elif key.fileobj == wake_read:
                        os.read(wake_read, 4096)
                    else:
                        return self._cut()
                self._reap()
        path.unlink(missing_ok=True)
        return False

    def _cut(self) -> bool:
        """Whoever held the tether has gone: kill everything, and wait until it is dead."""
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
        for pid, name in self._children.items():
            self._on_exit(name, os.waitpid(pid, 0)[1])
        return True

    def _ask_exit(self) -> None:
        self._exit = True

    def _accept(self, server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.settimeout(REQUEST_SECONDS)
            try:
                request = json.loads(_read_line(connection))
                answer, descriptor = self._handle(request)
            except OSError as error:
                answer = {"error": error.strerror or str(error), "errno": error.errno}
                descriptor = None
            except (ValueError, KeyError, TypeError) as error:
                answer, descriptor = {"error": str(error)}, None
            data = json.dumps(answer).encode() + b"\n"
            with contextlib.suppress(OSError):  # who asked has gone
                if descriptor is None:
                    connection.sendall(data)
                else:
                    socket.send_fds(connection, [data], [descriptor])

    def _handle(self, request: dict[str, Any]) -> tuple[dict[str, Any], int | None]:
        match request["op"]:
            case "start":
                return {"pid": self._start(str(request["name"]))}, None
            case "ping":
                return {}, None
            case "listen":
                return {}, self._listen(str(request["address"]), int(request["port"])).fileno()
            case "release":
                listener = self._listeners.pop(
                    (str(request["address"]), int(request["port"])), None
                )
                if listener is not None:
                    listener.close()
                return {}, None
            case "exit":
                self._exit = True
                return {}, None
            case unknown:
                raise ValueError(f"the fork server knows no operation {unknown!r}")

    def _listen(self, address: str, port: int) -> socket.socket:
        """The one listener of a service address, shared by the proxies of all nodes here."""
        listener = self._listeners.get((address, port))
        if listener is None:
            listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                # The proxies keep their listener when a fork server is replaced by a new one.
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                listener.bind((address, port))
                listener.listen(BACKLOG)
            except BaseException:
                listener.close()
                raise
            self._listeners[address, port] = listener
        return listener

    def _start(self, name: str) -> int:
        if process_lock.holder(self._layout.lock(name)) is not None:
            raise ValueError(f"{name} runs already")
        pid = os.fork()
        if pid == 0:
            self._become(name)
        self._children[pid] = name
        log.info("started %s as pid %d", name, pid)
        return pid

    def _become(self, name: str) -> None:
        """In the child: run the process of that name, and never return."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            os.setsid()
            redirect_output(self._layout, name)
            keep = self._listener.fileno()
            os.closerange(3, keep)
            os.closerange(keep + 1, 1024)
            setproctitle(f"podling: {name} ({self._layout.root})")
            logs.configure(name)
            process_lock.hold(self._layout.lock(name), listener=keep)
            code = self._main(name)
        except BaseException as error:  # the last frame of this process
            told = isinstance(error, LauncherError)  # its text says all there is to know
            log.critical("%s ends: %s", name, error, exc_info=None if told else error)
        finally:
            logging.shutdown()
            sys.stderr.flush()
            os._exit(code)

    def _reap(self) -> None:
        while self._children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            name = self._children.pop(pid, None)
            if name is not None:
                log.info("%s (pid %d) ended: %s", name, pid, os.waitstatus_to_exitcode(status))
                self._on_exit(name, status)


def redirect_output(layout: Layout, name: str) -> None:
    """Send this process's standard output and error to its log file, and close its input."""
    output = os.open(layout.log(name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    for descriptor in (output, nothing):
        if descriptor > 2:
            os.close(descriptor)


def _read_line(connection: socket.socket) -> bytes:
    data = bytearray()
    while not data.endswith(b"\n"):
        piece = connection.recv(4096)
        if not piece:
            raise ValueError("the request is not a whole line")
        data += piece
        if len(data) > REQUEST_MAX:
            raise ValueError("the request is too long")
    return bytes(data)
