"""All of the page as one ASGI application, inside its guard."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from ferd.config.web import WebConfig
from ferd.outputs.web.api import Api, WrongError, tell_wrong
from ferd.outputs.web.assets import LOGIN_PAGE, WRONG_PAGE, Assets
from ferd.outputs.web.daemon_view import DaemonView
from ferd.outputs.web.live import live
from ferd.outputs.web.openapi import Endpoint
from ferd.outputs.web.security import RequestGuard
from ferd.outputs.web.stream import FrameBroadcaster
from ferd.outputs.web.token import TokenAuth

WRONG_TOKEN_S = 1.0
GUESSES = 4
"""Wrong tokens that may wait for their answer at a time."""


def build(
    config: WebConfig,
    keys: TokenAuth,
    *,
    window: DaemonView,
    studio: FrameBroadcaster,
    api: Api,
    endpoints: list[Endpoint],
) -> ASGIApp:
    assets, login = Assets(), Login(keys)

    async def index(request: Request) -> Response:
        return assets.answer(request, "index.html")

    async def login_page(request: Request) -> Response:
        if not keys.asked_for:
            return RedirectResponse("/", 303)
        if request.method == "POST":
            return await login.enter(request) or assets.answer(request, WRONG_PAGE, 403)
        return assets.answer(request, LOGIN_PAGE)

    async def logout(_request: Request) -> Response:
        return RedirectResponse("/login", 303, {"Set-Cookie": keys.no_cookie()})

    async def look(socket: WebSocket) -> None:
        await live(socket, window, studio, api.state_now)

    api.describe(endpoints)
    routes = [
        Route("/", index),
        Route("/login", login_page, methods=["GET", "POST"]),
        Route("/logout", logout, methods=["POST"]),
        Route("/static/{name}", assets.static),
        WebSocketRoute("/api/live", look),
        # What is named comes before what has a name to be filled in.
        *(
            Route(endpoint.path, endpoint.handler, methods=[endpoint.method])
            for endpoint in sorted(endpoints, key=lambda e: e.path.count("{"))
        ),
    ]
    app = Starlette(routes=routes, exception_handlers={WrongError: tell_wrong})
    return RequestGuard(app, keys=keys, hosts=config.allowed_hosts)


class Login:
    """Takes the form. Wrong tokens are answered slowly, and few at a time."""

    def __init__(self, keys: TokenAuth) -> None:
        self._keys = keys
        self._guessing = 0

    async def enter(self, request: Request) -> Response | None:
        """The way in, or None for a wrong token."""
        try:
            form = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=4)
        except (ValueError, ClientDisconnect):
            form = {}
        if self._keys.fits(form.get("token", [""])[0].strip()):
            return RedirectResponse("/", 303, {"Set-Cookie": self._keys.new_cookie()})
        if self._guessing >= GUESSES:
            return Response("too many guesses at a time\n", 429, media_type="text/plain")
        self._guessing += 1
        try:
            await asyncio.sleep(WRONG_TOKEN_S)
        finally:
            self._guessing -= 1
        return None
