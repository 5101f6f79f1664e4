"""The token that lets people in, and the cookie that shows that somebody knew it."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie

from ferd.config.web import WebConfig
from ferd.errors import ConfigError
from ferd.outputs.mqtt.broker_settings import first_line

SHORTEST = 16
STAYS_S = 7 * 24 * 3600
COOKIE = "ferd"


class TokenAuth:
    """Knows the token, if one is asked for. A cookie outlives a restart and dies with its token."""

    def __init__(self, token: str | None, *, https: bool = False, wall: Callable[[], float] = time.time) -> None:
        self._token = None if token is None else token.encode()
        self._https, self._wall = https, wall

    @classmethod
    def of(cls, config: WebConfig) -> TokenAuth:
        """Raises ConfigError when the file is not there, or its token is short."""
        if config.token_file is None:
            return cls(None)
        token = first_line("web.token_file", config.token_file, "token").strip()
        if len(token) < SHORTEST:
            raise ConfigError(f"web.token_file: the token has {len(token)} characters; {SHORTEST} are the least")
        return cls(token, https=config.secure_cookies)

    @property
    def asked_for(self) -> bool:
        return self._token is not None

    def fits(self, given: str) -> bool:
        return self._token is not None and hmac.compare_digest(_digest(given.encode()), _digest(self._token))

    def new_cookie(self) -> str:
        """The value of Set-Cookie."""
        until = str(int(self._wall()) + STAYS_S)
        return f"{self._cookie(f'{until}.{self._signed(until)}')}; Max-Age={STAYS_S}"

    def no_cookie(self) -> str:
        return f"{self._cookie('')}; Max-Age=0"

    def admits(self, cookies: str, authorization: str) -> bool:
        """By the values of the headers Cookie and Authorization."""
        if not self.asked_for:
            return True
        kind, _, given = authorization.partition(" ")
        if kind.lower() == "bearer" and self.fits(given.strip()):
            return True
        until, _, signature = _named(cookies).partition(".")
        if not until.isascii() or not until.isdigit() or len(until) > 12 or int(until) < self._wall():
            return False
        return hmac.compare_digest(signature.encode(), self._signed(until).encode())

    def _signed(self, until: str) -> str:
        assert self._token is not None
        return hmac.new(_digest(self._token), f"ferd page until {until}".encode(), hashlib.sha256).hexdigest()

    def _cookie(self, value: str) -> str:
        return f"{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict" + ("; Secure" if self._https else "")


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()


def _named(cookies: str) -> str:
    try:
        jar = SimpleCookie(cookies)
    except CookieError:
        return ""
    return jar[COOKIE].value if COOKIE in jar else ""
