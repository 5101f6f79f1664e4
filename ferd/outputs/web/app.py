"""Put the page together as one FastAPI application behind its guard, and serve it with uvicorn."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from ferd import __version__
from ferd.outputs.web import api, browser_sender, practice, training, tuning
from ferd.outputs.web.connection_limits import ConnectionLimits
from ferd.outputs.web.security import GuessDelay, RequestGuard, TokenAuth, relative
from ferd.outputs.web.server import WebServer

STATIC = Path(__file__).parent / "static"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
LOGIN_PAGE, WRONG_TOKEN_PAGE = "login.html", "login-wrong.html"
"""The second is the first with its sentence for a wrong token shown: the login page has no script."""
DESCRIPTION = (
    "What the page uses. Live pictures and readings come over a WebSocket at /api/live: see docs/page.md. "
    "Where a token is required, send it as Authorization: Bearer."
)

NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
"""FastAPI can report requests and errors to OpenTelemetry. ferd switches that off: nothing leaves this machine."""


async def serve(web: WebServer, listener: socket.socket) -> None:
    """Serve the page until `web` is stopped. All objects are made again for each run, so that a fault ends with it."""
    limits = ConnectionLimits(web.config.max_connections)
    server = uvicorn.Server(
        uvicorn.Config(
            limits.middleware(build(web)),
            http=limits.http_protocol(),
            ws="wsproto",
            log_config=None,
            log_level="warning",
            access_log=False,
            lifespan="off",
            server_header=False,
            proxy_headers=False,
            ws_max_size=browser_sender.MAX_PICTURE_BYTES,
            ws_per_message_deflate=False,  # a JPEG does not become smaller
            timeout_keep_alive=10,
            timeout_graceful_shutdown=1,
            h11_max_incomplete_event_size=16384,
        )
    )

    loop = asyncio.get_running_loop()

    def end() -> None:
        server.should_exit = True
        with suppress(RuntimeError):  # the event loop has ended already
            loop.call_soon_threadsafe(web.frames.detach)

    web.on_stop, web.connections = end, limits.__len__
    if web.stopping.is_set():
        return
    web.frames.attach(loop)
    checking = asyncio.create_task(limits.run())
    try:
        await server.serve(sockets=[listener])
    finally:
        web.frames.detach()
        checking.cancel()
        with suppress(asyncio.CancelledError):
            await checking


def build(web: WebServer) -> ASGIApp:
    """Build the application: the API, the page's files, the login, and the guard around all of them."""
    app = FastAPI(
        title="ferd's page",
        version=__version__,
        description=DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        telemetry=NO_TELEMETRY,
        exception_handlers={HTTPException: _http_error, RequestValidationError: _validation_error},
    )
    app.state.web = web
    app.state.doctor = api.Doctor()
    app.state.training = training.TrainingManager(web.frames, web.view.detector)
    app.state.replay_lock = asyncio.Lock()
    auth = TokenAuth(web.token, secure=web.config.secure_cookies)
    # api.router comes last: its /api/cameras/{camera}/{switch} would match /api/cameras/{camera}/replay.
    for router in (tuning.router, training.router, browser_sender.router, practice.router, api.router):
        app.include_router(router)
    delay = GuessDelay()
    _add_pages(app, auth, delay)
    return RequestGuard(
        app,
        auth=auth,
        hosts=web.config.allowed_hosts,
        delay=delay,
        trusted_proxy=web.config.trusted_proxy,
        camera=web.view.takes_pictures,
    )


class Assets:
    """The page's own files, read once: nothing else can be asked for."""

    def __init__(self, folder: Path = STATIC) -> None:
        self._files = {
            path.name: (path.read_bytes(), MEDIA_TYPES[path.suffix])
            for path in folder.iterdir()
            if path.suffix in MEDIA_TYPES
        }
        login, media_type = self._files[LOGIN_PAGE]
        self._files[WRONG_TOKEN_PAGE] = login.replace(b'role="alert" hidden', b'role="alert"'), media_type
        self._etags = {name: f'"{hashlib.sha256(data).hexdigest()[:20]}"' for name, (data, _) in self._files.items()}

    def response(self, request: Request, name: str, status: int = 200) -> Response:
        if name not in self._files:
            return Response("no such file\n", 404, media_type="text/plain")
        data, media_type = self._files[name]
        headers = {"ETag": self._etags[name]}
        if status == 200 and request.headers.get("if-none-match") == self._etags[name]:
            return Response(status_code=304, headers=headers)
        return Response(data, status, headers, media_type=media_type)


class Login:
    """Check the token of the login form. Wrong tokens are answered slowly, and few at a time."""

    def __init__(self, auth: TokenAuth, delay: GuessDelay) -> None:
        self._auth, self._delay = auth, delay

    async def answer(self, request: Request) -> Response | None:
        """The response, or None for a wrong token."""
        try:
            form = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=4)
        except (ValueError, ClientDisconnect):
            form = {}
        if self._auth.matches(form.get("token", [""])[0].strip()):
            response = RedirectResponse(relative(request.scope["path"]), 303)
            self._auth.log_in(response)
            return response
        if not await self._delay.wait():
            return Response("too many wrong tokens at the same time\n", 429, media_type="text/plain")
        return None


def _add_pages(app: FastAPI, auth: TokenAuth, delay: GuessDelay) -> None:
    assets, login = Assets(), Login(auth, delay)

    async def index(request: Request) -> Response:
        return assets.response(request, "index.html")

    async def static(request: Request) -> Response:
        return assets.response(request, str(request.path_params["name"]))

    async def login_page(request: Request) -> Response:
        if not auth.required:
            return RedirectResponse(relative(request.scope["path"]), 303)
        if request.method == "POST":
            return await login.answer(request) or assets.response(request, WRONG_TOKEN_PAGE, 403)
        return assets.response(request, LOGIN_PAGE)

    async def logout(request: Request) -> Response:
        response = RedirectResponse(relative(request.scope["path"], "login"), 303)
        auth.log_out(response)
        return response

    app.add_route("/", index)
    app.add_route("/static/{name}", static)
    app.add_route("/login", login_page, methods=["GET", "POST"])
    app.add_route("/logout", logout, methods=["POST"])


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _validation_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return JSONResponse({"error": error_text(error.errors()[0])}, 400)


def error_text(problem: dict[str, Any]) -> str:
    """The first problem of a validation, with its key."""
    key = ".".join(str(part) for part in problem["loc"] if part not in ("body", "query", "path"))
    kind, message = problem["type"], str(problem["msg"]).removeprefix("Value error, ")
    if kind == "json_invalid" or not key:
        return "send a JSON object"
    match kind:
        case "missing":
            message = "is missing"
        case "extra_forbidden":
            message = "unknown key"
        case "dict_type" | "model_attributes_type":
            message = "must be an object"
        case "list_type":
            message = "must be a list"
    return f"{key}: {message}"
