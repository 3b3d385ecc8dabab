"""What the client itself adds to a transport; the rest of it is held to the contract of servers."""

import pytest

from podling.kube import kinds
from podling.kube.client import Client
from podling.kube.errors import ApiError, NotFound, ServiceUnavailable, TooManyRequests
from podling.kube.transport import HttpRequest, HttpResponse, TransportError


class Pieces:
    """A stream of prepared pieces."""

    def __init__(self, status: int, *pieces: bytes) -> None:
        self.status = status
        self.headers: dict[str, str] = {}
        self.closed = False
        self._pieces = list(pieces)

    def __aiter__(self) -> "Pieces":
        return self

    async def __anext__(self) -> bytes:
        if not self._pieces:
            raise StopAsyncIteration
        return self._pieces.pop(0)

    async def close(self) -> None:
        self.closed = True


class Recording:
    """A transport that notes requests and gives one prepared answer."""

    def __init__(self, status: int = 200, body: bytes = b"{}") -> None:
        self.requests: list[HttpRequest] = []
        self.answer = HttpResponse(status, {}, body)
        self.streamed = Pieces(status, body)

    async def request(self, request: HttpRequest, *, timeout: float) -> HttpResponse:
        self.requests.append(request)
        return self.answer

    async def stream(self, request: HttpRequest, *, timeout: float) -> Pieces:
        self.requests.append(request)
        return self.streamed

    async def close(self) -> None:
        pass


def client(transport: Recording) -> Client:
    return Client(transport, user_agent="podling-test")


async def test_requests_say_who_asks_and_in_what_form() -> None:
    transport = Recording()
    await client(transport).patch(
        kinds.POD, "web", {"a": 1}, "shop", content_type="x/y", subresource="status"
    )
    (sent,) = transport.requests
    assert (sent.method, sent.path) == ("PATCH", "/api/v1/namespaces/shop/pods/web/status")
    assert sent.body == b'{"a":1}'
    assert sent.headers == {
        "Accept": "application/json",
        "User-Agent": "podling-test",
        "Content-Type": "x/y",
    }


async def test_deletion_options_travel_in_the_body() -> None:
    transport = Recording()
    await client(transport).delete(
        kinds.POD,
        "web",
        "shop",
        grace_period_seconds=0,
        propagation_policy="Foreground",
        uid="u",
        resource_version="5",
    )
    assert transport.requests[0].body == (
        b'{"apiVersion":"v1","kind":"DeleteOptions","gracePeriodSeconds":0,'
        b'"propagationPolicy":"Foreground","preconditions":{"uid":"u","resourceVersion":"5"}}'
    )


@pytest.mark.parametrize(
    ("status", "body", "family", "text"),
    [
        (
            404,
            b'{"kind":"Status","code":404,"reason":"NotFound","message":"gone"}',
            NotFound,
            "gone",
        ),
        (503, b"no leader", ServiceUnavailable, "no leader"),
        (429, b"", TooManyRequests, "429"),
        (418, b"[]", ApiError, r"\[\]"),
        (500, b"\xff\xfe", ApiError, "."),
    ],
)
async def test_whatever_is_no_success_is_an_api_error(
    status: int, body: bytes, family: type[ApiError], text: str
) -> None:
    with pytest.raises(family, match=text) as caught:
        await client(Recording(status, body)).get(kinds.POD, "x", "y")
    assert caught.value.code == status
    transport = Recording(status, body)
    with pytest.raises(family, match=text):
        async with client(transport).watch(kinds.POD, resource_version="1"):
            pass
    assert transport.streamed.closed


@pytest.mark.parametrize("body", [b"<html>", b"[]"])
async def test_a_success_that_is_no_object_is_a_broken_answer(body: bytes) -> None:
    with pytest.raises(TransportError, match="the answer is not"):
        await client(Recording(200, body)).get(kinds.POD, "x", "y")


async def test_an_error_event_ends_a_watch_with_what_it_says() -> None:
    transport = Recording(
        200,
        b'{"type":"BOOKMARK","object":{}}\n{"type":"ERROR","object":{"kind":"Status","code":410,'
        b'"reason":"Expired","message":"too old"}}\n',
    )
    seen = []
    with pytest.raises(ApiError, match="too old"):
        async with client(transport).watch(kinds.POD, resource_version="1") as events:
            async for event in events:
                seen.append(event.type)
    assert seen == ["BOOKMARK"]
    assert transport.streamed.closed


@pytest.mark.parametrize("body", [b"<html>\n", b'{"type":"ADDED","obj'])
async def test_a_watch_that_cannot_be_read_is_a_broken_connection(body: bytes) -> None:
    with pytest.raises(TransportError):
        async with client(Recording(200, body)).watch(kinds.POD, resource_version="1") as events:
            async for _ in events:
                pass


async def test_leaving_a_watch_early_closes_it() -> None:
    transport = Recording(200, b'{"type":"ADDED","object":{}}\n' * 3)
    async with client(transport).watch(kinds.POD, resource_version="1") as events:
        async for _ in events:
            break
    assert transport.streamed.closed
