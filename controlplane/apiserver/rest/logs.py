"""A pod's `/log`: fetched from the node agent that runs it, and passed on as it comes.

Parameters are those of PodLogOptions; the node agent answers under
`/containerLogs/NAMESPACE/POD/CONTAINER` as every kubelet does.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from podling.controlplane.apiserver.registry.registry import Registry
from podling.controlplane.apiserver.request.messages import ApiResponse, Sink
from podling.controlplane.apiserver.request.routes import is_true
from podling.controlplane.apiserver.rest.objects import Asked
from podling.controlplane.apiserver.storage import encoded
from podling.kube import errors, meta, timestamps
from podling.kube.errors import FieldError
from podling.kube.kinds import NODE, POD
from podling.kube.meta import Object

CONTAINER_LISTS = ("containers", "initContainers", "ephemeralContainers")
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
_NUMBERS = {"tailLines": 0, "sinceSeconds": 1, "limitBytes": 1}
"""Parameter -> its least value."""
_FLAGS = ("follow", "previous", "timestamps")


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """Where a node agent serves its own HTTPS interface."""

    node: str
    host: str
    port: int


class LogStream(Protocol):
    """A node agent's answer."""

    status: int

    def pieces(self) -> AsyncIterator[bytes]: ...


class NodeLogs(Protocol):
    """Asks node agents for logs."""

    def open(
        self, address: NodeAddress, path: str, query: Mapping[str, str]
    ) -> AbstractAsyncContextManager[LogStream]:
        """Raises OSError or TimeoutError if the node agent cannot be reached."""


class RestLogs:
    """Implements `GET pods/NAME/log`."""

    def __init__(self, registry: Registry, nodes: NodeLogs) -> None:
        self._registry = registry
        self._nodes = nodes

    async def get(self, asked: Asked) -> ApiResponse:
        """Raises ApiError for what can be known before the log begins."""
        query = asked.request.query
        pod = encoded.load(POD, await self._registry.get(POD, asked.namespace, asked.name))
        options = log_options(query)
        container = choose_container(pod, query.get("container", ""))
        address = await self._address(pod)
        path = f"/containerLogs/{asked.namespace}/{asked.name}/{container}"
        opened = self._nodes.open(address, path, options)
        try:
            stream = await opened.__aenter__()
        except (OSError, TimeoutError) as error:
            raise _unreachable(address, error) from error
        if stream.status != 200:
            try:
                text = await _read_all(stream)
            finally:
                await opened.__aexit__(None, None, None)
            raise refusal(stream.status, text)
        return ApiResponse(
            200, content_type="text/plain", stream=_LogBody(opened, stream, address).write
        )

    async def _address(self, pod: Object) -> NodeAddress:
        node_name = (pod.get("spec") or {}).get("nodeName")
        if not node_name:
            raise errors.BadRequest(f"pod {meta.name(pod)} does not have a host assigned")
        try:
            node = encoded.load(NODE, await self._registry.get(NODE, "", node_name))
        except errors.NotFound as error:
            raise errors.InternalError(
                f"pod {meta.name(pod)} is bound to node {node_name}, which does not exist"
            ) from error
        return node_address(node)


class _LogBody:
    """Passes a log on."""

    def __init__(
        self,
        opened: AbstractAsyncContextManager[LogStream],
        stream: LogStream,
        address: NodeAddress,
    ) -> None:
        self._opened = opened
        self._stream = stream
        self._address = address

    async def write(self, sink: Sink) -> None:
        try:
            async for piece in self._stream.pieces():
                sink.write(piece)
                await sink.drain()
        except (OSError, TimeoutError):
            # The head of the answer is long gone: breaking off is all that can be said.
            sink.abort()
        finally:
            await self._opened.__aexit__(None, None, None)


async def _read_all(stream: LogStream) -> str:
    parts = [piece async for piece in stream.pieces()]
    return b"".join(parts)[:4096].decode(errors="replace").strip()


def log_options(query: Mapping[str, str]) -> dict[str, str]:
    """The parameters that the node agent is asked with. Raises errors.Invalid."""
    options = {name: "true" for name in _FLAGS if is_true(query.get(name))}
    wrong: list[FieldError] = []
    for name, least in _NUMBERS.items():
        text = query.get(name, "")
        if not text:
            continue
        if not (text.lstrip("-").isascii() and text.lstrip("-").isdigit()):
            raise errors.BadRequest(f"the query parameter {name} must be an integer, not {text!r}")
        if int(text) < least:
            least_text = "greater than 0" if least else "greater than or equal to 0"
            wrong.append(FieldError.invalid(name, int(text), f"must be {least_text}"))
        options[name] = str(int(text))
    since = query.get("sinceTime", "")
    if since and query.get("sinceSeconds"):
        wrong.append(
            FieldError.forbidden("sinceSeconds", "at most one of sinceTime or sinceSeconds")
        )
    elif since:
        try:
            timestamps.parse_time(since)
        except ValueError as error:
            raise errors.BadRequest(f"sinceTime: {error}") from error
        options["sinceTime"] = since
    if wrong:
        raise errors.Invalid(kind=None, name="", errors=wrong, kind_name="PodLogOptions")
    return options


def choose_container(pod: Object, wanted: str) -> str:
    """The container meant: by name, by annotation, or the only one. Raises errors.BadRequest."""
    spec: dict[str, Any] = pod.get("spec") or {}
    names = {kind: [one["name"] for one in spec.get(kind) or ()] for kind in CONTAINER_LISTS}
    everyone = [name for listed in names.values() for name in listed]
    if wanted:
        if wanted in everyone:
            return wanted
        raise errors.BadRequest(f"container {wanted} is not valid for pod {meta.name(pod)}")
    regular = names["containers"]
    default = meta.annotations(pod).get(DEFAULT_CONTAINER, "")
    if len(regular) == 1 or default in regular:
        return default if default in regular else regular[0]
    raise errors.BadRequest(
        f"a container name must be specified for pod {meta.name(pod)}, "
        f"choose one of: [{' '.join(regular)}]"
    )


def node_address(node: Object) -> NodeAddress:
    """From what the node agent reports. Raises errors.InternalError if it does not."""
    status = node.get("status") or {}
    addresses = {one["type"]: one["address"] for one in status.get("addresses") or ()}
    host = addresses.get("InternalIP") or addresses.get("Hostname")
    port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port")
    if not host or not port:
        raise errors.InternalError(
            f"node {meta.name(node)} has not reported where its agent can be reached"
        )
    return NodeAddress(meta.name(node), host, port)


def refusal(status: int, text: str) -> errors.ApiError:
    """What the node agent said, as this server's answer."""
    if status == 400:
        return errors.BadRequest(text)
    if status == 404:
        return errors.ApiError(text or "the container has no log", code=404, reason="NotFound")
    return errors.InternalError(f"the node agent answered with status {status}: {text}")


def _unreachable(address: NodeAddress, error: BaseException) -> errors.ApiError:
    return errors.InternalError(
        f"the agent of node {address.node} at {address.host}:{address.port} cannot be reached: "
        f"{str(error) or type(error).__name__}"
    )
