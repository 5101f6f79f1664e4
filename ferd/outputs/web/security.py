"""What every request must pass before the page looks at it: Host, Origin, token, size. And what every answer says."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ferd.outputs.web.token import TokenAuth

LONGEST_BODY = 65536
OPEN = ("/login", "/healthz", "/static/style.css", "/static/icon.svg")
"""What is answered without the token."""
SAFE_METHODS = ("GET", "HEAD")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with no-referrer a browser sends the login form with Origin: null
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class Refused(Exception):  # noqa: N818  # it is an answer
    def __init__(self, status: HTTPStatus, error: str) -> None:
        super().__init__(error)
        self.status, self.error = status, error


class RequestGuard:
    """ASGI middleware. ``hosts``: names besides localhost, this machine's name and addresses."""

    def __init__(self, app: ASGIApp, *, keys: TokenAuth, hosts: Sequence[str] = ()) -> None:
        self._app, self._keys = app, keys
        own = socket.gethostname().lower()
        self._hosts = {"localhost", own, f"{own}.local", *hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            self._check(scope, headers)
        except Refused as refused:
            await self._refuse(refused, scope, receive, send)
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        await self._app(scope, _bounded(receive), _dressed(send, scope["path"]))

    def _check(self, scope: Scope, headers: Headers) -> None:
        host = _only(headers, "host")
        if not self._knows(host):
            raise Refused(
                HTTPStatus.MISDIRECTED_REQUEST, "this name is not known here: add it to allowed_hosts in [web]"
            )
        changes = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
        if changes and not _same_site(headers, host):
            raise Refused(HTTPStatus.FORBIDDEN, "this request comes from another site's page")
        if changes and scope["type"] == "http" and not _plain_form(scope, headers):
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send application/json")
        if not _short(headers):
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a request has {LONGEST_BODY} bytes at most")
        if scope["path"] in OPEN:
            return
        if not self._keys.admits("; ".join(headers.getlist("cookie")), headers.get("authorization", "")):
            raise Refused(HTTPStatus.UNAUTHORIZED, "log in first, or send Authorization: Bearer TOKEN")

    def _knows(self, host: str) -> bool:
        """A name could have been bent to this machine by somebody's DNS; an address cannot."""
        match = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^\[\]:]+)(:\d{1,5})?", host)
        if match is None:
            return False
        name = match[1].strip("[]").lower().removesuffix(".")
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in self._hosts
        return True

    async def _refuse(self, refused: Refused, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # before the accept: answered with 403
            return
        answer: Response = JSONResponse({"error": refused.error}, refused.status)
        if refused.status is HTTPStatus.UNAUTHORIZED and "text/html" in Headers(scope=scope).get("accept", ""):
            answer = RedirectResponse("/login", HTTPStatus.SEE_OTHER)
        await answer(scope, receive, _dressed(send, scope["path"]))


def _only(headers: Headers, name: str) -> str:
    values = headers.getlist(name)
    return values[0] if len(values) == 1 else ""


def _same_site(headers: Headers, host: str) -> bool:
    """Browsers name where a request comes from; other programs do not, and have nobody's cookie."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origins = headers.getlist("origin")
    return not origins or (len(origins) == 1 and urlsplit_safe(origins[0]) == host.lower())


def urlsplit_safe(origin: str) -> str | None:
    """Host and port of an origin; None for what is none ("null")."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return None
    return parts.netloc.lower() if parts.scheme in ("http", "https") and parts.netloc else None


def _plain_form(scope: Scope, headers: Headers) -> bool:
    """JSON cannot be sent across sites without the browser asking first; the login form has nothing to lose."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or scope["path"] in ("/login", "/logout")


def _short(headers: Headers) -> bool:
    length = headers.get("content-length", "0")
    return length.isascii() and length.isdigit() and len(length) < 10 and int(length) <= LONGEST_BODY


def _bounded(receive: Receive) -> Receive:
    """The body, as if it had ended where it becomes too long (it is then no JSON)."""
    left = LONGEST_BODY

    async def bounded() -> Message:
        nonlocal left
        message = await receive()
        if message["type"] == "http.request":
            left -= len(message.get("body", b""))
            if left < 0:
                return {"type": "http.disconnect"}
        return message

    return bounded


def _dressed(send: Send, path: str) -> Send:
    async def dressed(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-cache" if path.startswith("/static/") else "no-store")
        await send(message)

    return dressed
