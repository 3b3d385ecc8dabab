"""The guestbook's storage: keeps the entries in memory and hands them out as JSON.

GET  /entries         the newest entries first
POST /entries         one more, as {"name": ..., "text": ...}
GET  /healthz         whether it serves
"""

import os
from collections import deque

from aiohttp import web

ENTRIES_MAX = 1000
FIELD_MAX = 500
entries = web.AppKey("entries", deque[dict[str, str]])


async def list_entries(request: web.Request) -> web.Response:
    return web.json_response(list(request.app[entries]))


async def add_entry(request: web.Request) -> web.Response:
    try:
        entry = await request.json()
        name, text = str(entry["name"]).strip(), str(entry["text"]).strip()
    except (ValueError, KeyError, TypeError):
        raise web.HTTPBadRequest(text="send JSON with name and text") from None
    if not name or not text or max(len(name), len(text)) > FIELD_MAX:
        raise web.HTTPBadRequest(text=f"name and text: 1 to {FIELD_MAX} characters each")
    request.app[entries].appendleft({"name": name, "text": text})
    return web.json_response({"count": len(request.app[entries])}, status=201)


async def healthy(_: web.Request) -> web.Response:
    return web.Response(text="ok")


def make_app() -> web.Application:
    app = web.Application()
    app[entries] = deque(maxlen=ENTRIES_MAX)
    app.router.add_get("/entries", list_entries)
    app.router.add_post("/entries", add_entry)
    app.router.add_get("/healthz", healthy)
    return app


if __name__ == "__main__":
    web.run_app(make_app(), host=os.environ["POD_IP"], port=int(os.environ["PORT"]))
