"""Fetch pictures from a network camera's HTTP server: logins, redirects and limits around http.client.

One connection at a time. An answer has to arrive by one moment, through all redirects and logins, and ``interrupt``
ends a wait from another thread.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import math
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from ferd.config.source import login_of
from ferd.errors import SourceError
from ferd.sources.timed_socket import TimedSocket

MOST_REDIRECTS = 5
MOST_HEAD_BYTES = 65_536
"""Of an answer before its body. Heads of cameras have a few hundred bytes."""
MOST_CHALLENGE_LETTERS = 4096
"""Of a WWW-Authenticate header."""
CHUNK = 65_536
START_BYTES = 32
_FAILURES = (OSError, http.client.HTTPException, ValueError)
"""Of a connection: refused, reset, not resolved, timed out, no HTTP. ValueError: a socket that was shut meanwhile."""
_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*+)"?|([^\s,="]++(?:=+(?=\s*+(?:,|$)))?)|([,=])')
"""A quoted value, a word (with its padding, as of base64), a mark. Takes each letter once: servers write it."""
_DIGESTS = ("MD5", "SHA", "SHA-256")


class HttpReply:
    """The server's answer.

    ``kind``: its media type in lower case, "" where it says none. ``url``: after redirects. ``length``: bytes of the
    body, None where it does not say. ``is_seekable``: whether parts of it can be asked for.
    """

    def __init__(self, response: http.client.HTTPResponse, url: str) -> None:
        self.url = url
        self.kind = (response.getheader("Content-Type") or "").partition(";")[0].strip().lower()
        self.length = response.length
        self.is_seekable = (response.getheader("Accept-Ranges") or "").lower() == "bytes" and bool(response.length)
        self._response = response
        self.start = b""
        """The first bytes of the body, as far as they were read."""

    def read(self, size: int = CHUNK) -> bytes:
        """Wait for bytes of the body, at most `size`; b"" at its end."""
        data = self._response.read1(size)
        if not data:
            self._response.close()  # http.client does not notice the end by itself, and the connection is to be kept
        if len(self.start) < START_BYTES:
            self.start += data[: START_BYTES - len(self.start)]
        return data


class HttpClient:
    """GETs one address again and again.

    Args:
        url: http:// or https://, with or without a login.
        shown: how it is called in messages, without secrets.
        password: replaces the one in the address.
        verify: whether to check the server's certificate.
    """

    def __init__(self, url: str, shown: str, *, password: str | None, verify: bool) -> None:
        self._url, self._shown = url, shown
        user, in_address = login_of(url)
        self._login = (user, in_address if password is None else password)
        self._verify = verify
        self._connection: http.client.HTTPConnection | None = None
        self._place: tuple[str, str] | None = None
        self._socket: TimedSocket | None = None
        self._response: http.client.HTTPResponse | None = None
        self._authorize: Callable[[str], str] | None = None
        self._by = 0.0
        self._first = 0
        self._interrupted = False

    def get(self, within_s: float | None = None, *, first: int = 0) -> HttpReply:
        """Ask for the address, with the login where the server wants one.

        `within_s`: time limit from now on for all that follows, up to the next ``limit``: connections, redirects,
        heads, and what is read of the body. None: the last one goes on. `first`: the first byte of the body.

        Raises:
            SourceError: There is no such answer in time. Names the remedy.
        """
        self._first = first
        if within_s is not None:
            self.limit(within_s)
        try:
            return self._get()
        except ssl.SSLCertVerificationError as error:
            raise SourceError(
                f"{self._shown}: its certificate is not trusted ({error.verify_message}). Cameras often sign their "
                "own: set tls_verify = false for this camera to accept any"
            ) from None
        except _FAILURES as error:
            raise SourceError(f"{self._shown}: {_why(error)}") from None

    def limit(self, seconds: float) -> None:
        """Let all further waits end in `seconds` from now."""
        self._by = time.monotonic() + seconds
        if self._socket is not None:
            self._socket.limit(seconds)

    @contextlib.contextmanager
    def failures(self) -> Iterator[None]:
        """Turn failures while a body is read into SourceError."""
        try:
            yield
        except _FAILURES as error:
            late = isinstance(error, TimeoutError)
            why = "no complete picture in time" if late else _why(error)
            slow = ". If it sends fewer pictures on purpose, set fps to its rate" * late
            raise SourceError(
                f"{self._shown}: stopped delivering pictures ({why}). Check cable, power or network{slow}"
            ) from None

    def interrupt(self) -> None:
        """End a wait. May be called from any thread."""
        self._interrupted = True
        used = self._socket
        if used is not None:
            used.interrupt()

    def close(self) -> None:
        """Close the connection. Calling it twice does no harm."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        used, self._socket = self._socket, None
        if used is not None:
            used.shut()
        response, self._response = self._response, None
        if response is not None:
            response.close()

    def _get(self) -> HttpReply:
        url, ours, redirects, asked_for_login = self._url, True, 0, False
        while True:
            response = self._ask(url, with_login=ours)
            status = response.status
            wanted = 206 if self._first else 200
            if status != wanted:
                self._pass_over(response)
            if status in (301, 302, 303, 307, 308):
                redirects += 1
                url = self._redirected(url, response, redirects)
                ours = ours and place_of(url) == place_of(self._url)
                continue
            if status == 401 and ours and self._login[0] and not asked_for_login:
                asked_for_login = True
                challenges = list(_challenges(response.headers.get_all("WWW-Authenticate") or []))
                self._authorize = self._answer(challenges)
                if self._authorize is not None:
                    continue
                kinds = ", ".join(sorted({_called(*challenge) for challenge in challenges})) or "no login at all"
                raise SourceError(
                    f"{self._shown}: asks for a kind of login that ferd does not have ({kinds}). Set the camera to "
                    "Digest with MD5 or SHA-256, or to Basic"
                )
            if status != wanted:
                raise SourceError(f"{self._shown}: {_why_status(status, bool(self._login[0]))}")
            encoding = (response.getheader("Content-Encoding") or "identity").strip().lower()
            if encoding not in ("identity", "none", ""):
                raise SourceError(
                    f"{self._shown}: sends its answer compressed ({encoding[:20]}), which was not asked for. Switch "
                    "that off for this address, in the camera or in the proxy before it"
                )
            return HttpReply(response, url)

    def _ask(self, url: str, *, with_login: bool) -> http.client.HTTPResponse:
        parts = urlsplit(url)
        # Blanks and letters beyond ASCII are understood, as browsers do, and http.client takes neither.
        target = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=_KEPT)
        headers: dict[str, str | bytes] = {"User-Agent": "ferd", "Accept": "*/*"}
        if self._first:
            headers["Range"] = f"bytes={self._first}-"
        if with_login and self._authorize is not None:
            headers["Authorization"] = self._authorize(target).encode()
        is_kept = self._connection is not None and self._place == place_of(url) and self._connection.sock is not None
        try:
            return self._send(url, target, headers, keep=is_kept)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            if not is_kept or self._interrupted:
                raise
            return self._send(url, target, headers, keep=False)  # the server closed it between two requests

    def _send(self, url: str, target: str, headers: dict[str, str | bytes], *, keep: bool) -> http.client.HTTPResponse:
        if not keep:
            self.close()
            self._connect(url)
        connection, used = self._connection, self._socket
        assert connection is not None
        assert used is not None
        used.limit_bytes(MOST_HEAD_BYTES)
        connection.request("GET", target, headers=headers)
        self._response = connection.getresponse()
        used.limit_bytes(math.inf)
        return self._response

    def _connect(self, url: str) -> None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        connection: http.client.HTTPConnection
        context = None
        if parts.scheme.lower() == "https":
            context = ssl.create_default_context()
            if not self._verify:
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            connection = http.client.HTTPSConnection(host, parts.port, context=context)
        else:
            connection = http.client.HTTPConnection(host, parts.port)
        # Kept here before it connects: an interrupt has to reach it, and http.client lets go of it after its answer.
        self._socket = used = TimedSocket(self._by - time.monotonic())
        if self._interrupted:
            raise OSError("interrupted")
        used.connect(host, connection.port, context)
        connection.sock = used
        self._connection, self._place = connection, place_of(url)

    def _pass_over(self, response: http.client.HTTPResponse) -> None:
        """Read a body that is not needed, so that the connection can be used again; close it where that is long."""
        if response.length is not None and response.length <= CHUNK and not response.will_close:
            response.read()
        else:
            self.close()

    def _redirected(self, url: str, response: http.client.HTTPResponse, number: int) -> str:
        location = response.getheader("Location")
        if not location:
            raise SourceError(f"{self._shown}: redirects without saying where to. Check the address")
        if number > MOST_REDIRECTS:
            raise SourceError(f"{self._shown}: redirects more than {MOST_REDIRECTS} times. Check the address")
        try:
            # Cameras write blanks and letters of other alphabets as they are; http.client gives bytes as Latin-1.
            target = urljoin(url, quote(location.strip().encode("latin-1"), safe=_KEPT))
            parts = urlsplit(target)
            scheme, _port = parts.scheme.lower(), parts.port
        except ValueError:
            raise SourceError(f"{self._shown}: redirects to an address that is broken. Check the address") from None
        if scheme not in ("http", "https") or (scheme == "http" and urlsplit(url).scheme.lower() == "https"):
            raise SourceError(f"{self._shown}: redirects to a {scheme or 'missing'} address, which is not followed")
        return target

    def _answer(self, challenges: list[Challenge]) -> Callable[[str], str] | None:
        """Return what makes the Authorization header for a target; None where no challenge can be met."""
        user, password = self._login
        for scheme, values in challenges:
            qualities = values.get("qop", "auth").lower().replace(" ", "").split(",")
            known = values.get("algorithm", "MD5").upper() in _DIGESTS and "auth" in qualities
            if scheme == "digest" and known and {"realm", "nonce"} <= values.keys():
                return _Digest(self._url, user, password, values)
        if any(scheme == "basic" for scheme, _values in challenges):
            token = base64.b64encode(f"{user}:{password}".encode()).decode()
            return lambda _target: f"Basic {token}"
        return None


class _Digest:
    """Makes Digest headers (RFC 7616) through the standard library's handler."""

    def __init__(self, url: str, user: str, password: str, challenge: dict[str, str]) -> None:
        import urllib.request  # 1.6 MB that only such cameras need

        class Login(urllib.request.HTTPPasswordMgr):
            def find_user_password(self, _realm: str, _authuri: str) -> tuple[str | None, str | None]:
                return user, password

        class Handler(urllib.request.AbstractDigestAuthHandler):
            def get_algorithm_impls(self, algorithm: str) -> Any:
                hashed = {"MD5": hashlib.md5, "SHA": hashlib.sha1, "SHA-256": hashlib.sha256}[algorithm.upper()]

                def digest(text: str) -> str:  # the standard library's own refuse letters beyond ASCII
                    return hashed(text.encode()).hexdigest()

                return digest, lambda secret, data: digest(f"{secret}:{data}")

        # "auth" alone: the standard library does not know what to do with "auth,auth-int".
        self._challenge = challenge | ({"qop": "auth"} if "qop" in challenge else {})
        self._request = urllib.request.Request(url)  # noqa: S310  # is never opened
        self._handler = Handler(Login())

    def __call__(self, target: str) -> str:
        self._request.selector = target
        handler: Any = self._handler
        value = handler.get_authorization(self._request, self._challenge)
        if value is None:
            raise ValueError("an unknown kind of login")
        return f"Digest {value}"


Challenge = tuple[str, dict[str, str]]
"""Of a WWW-Authenticate header: a scheme in lower case, and its values."""


def _challenges(headers: list[str]) -> Iterator[Challenge]:
    """Yield the challenges of WWW-Authenticate headers, of which one may hold several (RFC 9110, 11.6.1)."""
    for header in headers:
        scheme = ""
        values: dict[str, str] = {}
        for part in _parts(header[:MOST_CHALLENGE_LETTERS]):
            at = 0
            if part[1:2] != ["="]:  # a scheme, with its first value or without
                if scheme:
                    yield scheme, values
                scheme, values, at = part[0].lower(), {}, 1
            for key, mark, value in zip(part[at:], part[at + 1 :], part[at + 2 :], strict=False):
                if mark == "=" and key != "=":
                    values.setdefault(key.lower(), value)
        if scheme:
            yield scheme, values


def _parts(header: str) -> Iterator[list[str]]:
    """Yield what stands between the commas of a header: words, values without their quotes, and "="."""
    part: list[str] = []
    for found in _TOKEN.finditer(header):
        if found[3] != ",":
            part.append(found[found.lastindex or 0])
        elif part:
            yield part
            part = []
    if part:
        yield part


def _called(scheme: str, values: dict[str, str]) -> str:
    """Name a challenge: "Bearer", "Digest MD5-sess"."""
    details = (values.get("algorithm", ""), values.get("qop", "")) if scheme == "digest" else ()
    return " ".join(word[:20] for word in (scheme.capitalize(), *details) if word)


_KEPT = "%/:=&?~#+!$,;'@()*[]"
"""Characters of a redirect's target that are left as they are."""


def place_of(url: str) -> tuple[str, str]:
    """Return scheme and authority without the login: where a password may be sent, and which connection fits."""
    parts = urlsplit(url)
    return parts.scheme.lower(), parts.netloc.rpartition("@")[2].lower()


def _why(error: Exception) -> str:
    """Explain a failure of the connection without the text of libraries, which may quote the address."""
    if isinstance(error, TimeoutError):
        return "does not answer in time"
    if isinstance(error, socket.gaierror):
        return f"its name is not known here ({error.strerror})"
    if isinstance(error, http.client.RemoteDisconnected):
        return "closes the connection without an answer"
    if isinstance(error, OSError) and error.strerror:
        return str(error.strerror)
    return f"does not speak HTTP as expected ({type(error).__name__})"


def _why_status(status: int, has_login: bool) -> str:
    if status == 401:
        if has_login:
            return "user or password is wrong (401)"
        return "asks for a user and a password (401). Write them into the address: SCHEME://USER:PASSWORD@HOST/PATH"
    if status == 403:
        return "this user may not see it (403). Check user and password, and the camera's access rules"
    if status == 404:
        return "has no such address (404). Check the path: the camera's manual lists those of its streams"
    return f"answers with an error ({status}). Does the address work in a browser?"
