"""The guestbook's frontend: a page with a form, in front of `storage`, found by its DNS name.

On SIGTERM it drains: it stops calling itself ready, goes on serving while the cluster takes it out
of the Service, and then finishes what it has begun. So a rolling update loses no request.
"""

import asyncio
import html
import os
import signal
import socket
from collections.abc import AsyncIterator

from aiohttp import ClientError, ClientSession, ClientTimeout, web

DRAIN_SECONDS = 2.0
"""Longer than the news of a leaving pod takes to every proxy."""

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Guestbook</title>
<style>body {{ font: 1.1em sans-serif; max-width: 40em; margin: 2em auto; padding: 0 1em }}
input {{ font: inherit; padding: .3em }} small {{ color: #777 }}</style>
<h1>Guestbook</h1>
<form method="post">
<input name="name" placeholder="your name" required maxlength="500">
<input name="text" placeholder="what you want to say" required maxlength="500" size="30">
<button>Sign</button>
</form>
<ul>{entries}</ul>
<small>served by {pod} on {node}</small>
</html>
"""

session = web.AppKey("session", ClientSession)
draining = web.AppKey("draining", asyncio.Event)


def storage_url() -> str:
    """By its DNS name; by the variables that every Service gives, where pods lack cluster DNS."""
    try:
        socket.getaddrinfo("storage", None)
    except OSError:
        host = os.environ.get("STORAGE_SERVICE_HOST", "storage")
        return f"http://{host}:{os.environ.get('STORAGE_SERVICE_PORT', '6380')}"
    return "http://storage:6380"


async def show(request: web.Request) -> web.Response:
    try:
        async with request.app[session].get("/entries") as response:
            entries = await response.json()
    except (ClientError, TimeoutError) as error:
        raise web.HTTPServiceUnavailable(text=f"storage does not answer: {error}") from None
    items = "".join(
        f"<li><b>{html.escape(entry['name'])}</b>: {html.escape(entry['text'])}</li>"
        for entry in entries
    )
    pod, node = os.environ.get("POD_NAME", "?"), os.environ.get("NODE_NAME", "?")
    return web.Response(
        text=PAGE.format(entries=items, pod=pod, node=node), content_type="text/html"
    )


async def sign(request: web.Request) -> web.Response:
    form = await request.post()
    entry = {"name": str(form.get("name", "")), "text": str(form.get("text", ""))}
    try:
        async with request.app[session].post("/entries", json=entry) as response:
            if response.status != 201:
                raise web.HTTPBadRequest(text=await response.text())
    except (ClientError, TimeoutError) as error:
        raise web.HTTPServiceUnavailable(text=f"storage does not answer: {error}") from None
    raise web.HTTPSeeOther("/")


async def ready(request: web.Request) -> web.Response:
    if request.app[draining].is_set():
        raise web.HTTPServiceUnavailable(text="draining")
    return web.Response(text="ok")


async def client(app: web.Application) -> AsyncIterator[None]:
    async with ClientSession(storage_url(), timeout=ClientTimeout(total=5)) as app[session]:
        yield


def make_app(drain: asyncio.Event) -> web.Application:
    app = web.Application()
    app[draining] = drain
    app.cleanup_ctx.append(client)
    app.router.add_get("/", show)
    app.router.add_post("/", sign)
    app.router.add_get("/readyz", ready)
    return app


async def main() -> None:
    drain = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, drain.set)
    runner = web.AppRunner(make_app(drain), handle_signals=False)
    await runner.setup()
    await web.TCPSite(runner, os.environ["POD_IP"], int(os.environ["PORT"])).start()
    await drain.wait()
    await asyncio.sleep(DRAIN_SECONDS)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
