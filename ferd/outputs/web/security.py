"""Check every request before the page sees it: Host, Origin, token, size. And add security headers to every response.

Starlette's TrustedHostMiddleware is not used: it knows no rule for addresses, cuts "[::1]:8322" at its first colon, and
its answer names no remedy.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from urllib.parse import urlsplit

from itsdangerous import BadSignature, TimestampSigner
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "ferd"
COOKIE_MAX_AGE_S = 7 * 24 * 3600
MAX_BODY_BYTES = 65536
PUBLIC_PATHS = ("/login", "/healthz", "/static/style.css", "/static/icon.svg")
"""Served without the token."""
WRONG_TOKEN_DELAY_S = 1.0
MAX_WAITING_GUESSES = 4
"""Wrong tokens that may wait for their answer at the same time."""
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
WITH_CAMERA = {"Permissions-Policy": "camera=(self), microphone=(), geolocation=()"}
"""The header where the page itself may ask for the camera of the device that shows it."""
FRAMED = {
    "Content-Security-Policy": HEADERS["Content-Security-Policy"].replace(
        "frame-ancestors 'none'", "frame-ancestors 'self'"
    ),
    "X-Frame-Options": "SAMEORIGIN",
}
"""For requests through the trusted proxy: Home Assistant shows the page in a frame of its own site."""


def relative(path: str, target: str = "") -> str:
    """Return `target` relative to the request's path: a proxy may serve the page below a prefix of its own.

    >>> relative("/api/state", "login")
    '../login'
    """
    return ("../" * (path.count("/") - 1) + target) or "./"


class TokenAuth:
    """Check the token, if one is configured. A cookie survives a restart and expires with its token.

    Args:
        token: None lets everybody in.
        secure: the browser sends the cookie over TLS only.
    """

    def __init__(self, token: str | None, *, secure: bool = False) -> None:
        self._digest = None if token is None else _digest(token)
        self._secure = secure
        self._signer = TimestampSigner(self._digest or b"", salt="ferd page", digest_method=hashlib.sha256)

    @property
    def required(self) -> bool:
        return self._digest is not None

    def matches(self, token: str) -> bool:
        """Compare in constant time."""
        return self._digest is not None and hmac.compare_digest(_digest(token), self._digest)

    def log_in(self, response: Response) -> None:
        """Set a cookie that says that its holder knew the token."""
        self._set(response, self._signer.sign("in").decode(), COOKIE_MAX_AGE_S)

    def log_out(self, response: Response) -> None:
        self._set(response, "", 0)

    def admits(self, connection: HTTPConnection) -> bool:
        """Whether the request carries the token or a valid cookie."""
        if not self.required:
            return True
        kind, _, token = connection.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self.matches(token.strip()):
            return True
        try:
            self._signer.unsign(connection.cookies.get(COOKIE, ""), max_age=COOKIE_MAX_AGE_S)
        except BadSignature:  # also one that is too old
            return False
        return True

    def _set(self, response: Response, value: str, max_age_s: int) -> None:
        # Without a path a browser takes the folder of the login page, also behind a proxy that adds a prefix.
        response.set_cookie(
            COOKIE, value, max_age=max_age_s, path=None, httponly=True, samesite="strict", secure=self._secure
        )


class GuessDelay:
    """Slow down guesses at the token, from wherever they come: the form, a header or a cookie."""

    def __init__(self) -> None:
        self._waiting = 0

    async def wait(self) -> bool:
        """Wait before a wrong token is answered. False, at once, when too many wait already."""
        if self._waiting >= MAX_WAITING_GUESSES:
            return False
        self._waiting += 1
        try:
            await asyncio.sleep(WRONG_TOKEN_DELAY_S)
        finally:
            self._waiting -= 1
        return True


class Refused(Exception):  # noqa: N818  # it is an answer, not a fault
    """A request that does not reach the page; the text is the answer."""

    def __init__(self, status: HTTPStatus, error: str) -> None:
        super().__init__(error)
        self.status, self.error = status, error


class RequestGuard:
    """ASGI middleware.

    Args:
        app: The page.
        auth: Checks the token.
        hosts: Names besides localhost and this machine's own name; addresses are all accepted.
        delay: Slows down wrong tokens.
        trusted_proxy: Address of a proxy that has logged the user in. Its requests need no token, and it checks the
            host name. Without a token it alone may open the page.
        camera: Whether the page may ask for the camera of the visitor's device.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        auth: TokenAuth,
        hosts: Sequence[str] = (),
        delay: GuessDelay | None = None,
        trusted_proxy: str | None = None,
        camera: Callable[[], bool] = lambda: False,
    ) -> None:
        self._app, self._auth, self._delay, self._proxy = app, auth, delay or GuessDelay(), trusted_proxy
        self._camera = camera
        own = socket.gethostname().lower()
        self._hosts = {"localhost", own, f"{own}.local", *hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        try:
            self._check(scope, HTTPConnection(scope))
        except Refused as refused:
            if refused.status is HTTPStatus.UNAUTHORIZED and _is_guess(scope) and not await self._delay.wait():
                refused = TOO_MANY_GUESSES
            await self._refuse(refused, scope, receive, send)
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        await self._app(scope, _limit_body(receive), self._with_headers(scope, send))

    def _check(self, scope: Scope, connection: HTTPConnection) -> None:
        headers = connection.headers
        if "transfer-encoding" in headers and "content-length" in headers:
            # Two lengths: a proxy in front may use the other one and take the rest for another request (RFC 9112, 6.3).
            raise Refused(HTTPStatus.BAD_REQUEST, "send Content-Length or Transfer-Encoding, not both")
        host = _single(headers, "host")
        trusted = self._is_trusted(scope)
        hosts = {host, _single(headers, "x-forwarded-host")} if trusted else {host}
        if not trusted and not self._is_known(host):
            raise Refused(
                HTTPStatus.MISDIRECTED_REQUEST, "this host name is not known: add it to allowed_hosts in [web]"
            )
        changes = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
        if changes and not _is_same_site(headers, hosts):
            raise Refused(HTTPStatus.FORBIDDEN, "this request comes from another site's page")
        if changes and scope["type"] == "http" and not _is_json_or_login(scope, headers):
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send application/json")
        if not _has_short_body(headers):
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a request may have {MAX_BODY_BYTES} bytes at most")
        if trusted or scope["path"] in PUBLIC_PATHS:
            return
        if self._proxy is not None and not self._auth.required:
            raise Refused(HTTPStatus.FORBIDDEN, "this page can be opened through its proxy only")
        if not self._auth.admits(connection):
            raise Refused(HTTPStatus.UNAUTHORIZED, "log in first, or send Authorization: Bearer TOKEN")

    def _is_trusted(self, scope: Scope) -> bool:
        """Whether the request comes from the trusted proxy: its peer's address, never a header."""
        return self._proxy is not None and bool(scope.get("client")) and _plain(scope["client"][0]) == self._proxy

    def _with_headers(self, scope: Scope, send: Send) -> Send:
        framed = FRAMED if self._is_trusted(scope) else {}
        return _add_headers(send, scope["path"], {**framed, **(WITH_CAMERA if self._camera() else {})})

    def _is_known(self, host: str) -> bool:
        """Whether the Host header names this machine. DNS rebinding can forge a name, but not an address."""
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
            answer = RedirectResponse(relative(scope["path"], "login"), HTTPStatus.SEE_OTHER)
        if refused.status is HTTPStatus.BAD_REQUEST:
            answer.headers["Connection"] = "close"
        await answer(scope, receive, self._with_headers(scope, send))


TOO_MANY_GUESSES = Refused(HTTPStatus.TOO_MANY_REQUESTS, "too many wrong tokens at the same time")


def _is_guess(scope: Scope) -> bool:
    """Whether the request carries a token or a cookie at all."""
    connection = HTTPConnection(scope)
    return "authorization" in connection.headers or COOKIE in connection.cookies


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _single(headers: Headers, name: str) -> str:
    """A header's value; empty when it is missing or repeated."""
    values = headers.getlist(name)
    return values[0] if len(values) == 1 else ""


def _plain(address: str) -> str:
    """Return an address as the configuration has it: an IPv4 client of an IPv6 socket is ::ffff:192.0.2.1."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)


def _is_same_site(headers: Headers, hosts: set[str]) -> bool:
    """Browsers name the page that a request comes from; other programs do not, and hold nobody's cookie."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origins = headers.getlist("origin")
    return not origins or (len(origins) == 1 and _origin_host(origins[0]) in {host.lower() for host in hosts})


def _origin_host(origin: str) -> str | None:
    """Host and port of an origin; None for "null" and for what is no URL."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return None
    return parts.netloc.lower() if parts.scheme in ("http", "https") and parts.netloc else None


def _is_json_or_login(scope: Scope, headers: Headers) -> bool:
    """A browser sends JSON across sites only after asking; the login form gives an attacker nothing."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or scope["path"] in ("/login", "/logout")


def _has_short_body(headers: Headers) -> bool:
    length = headers.get("content-length", "0")
    return length.isascii() and length.isdigit() and len(length) < 10 and int(length) <= MAX_BODY_BYTES


def _limit_body(receive: Receive) -> Receive:
    """End a body without a Content-Length where it becomes too long, as if the client had gone."""
    left = MAX_BODY_BYTES

    async def limited() -> Message:
        nonlocal left
        message = await receive()
        if message["type"] == "http.request":
            left -= len(message.get("body", b""))
            if left < 0:
                return {"type": "http.disconnect"}
        return message

    return limited


def _add_headers(send: Send, path: str, more: Mapping[str, str]) -> Send:
    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in {**HEADERS, **more}.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-cache" if path.startswith("/static/") else "no-store")
        await send(message)

    return with_headers
