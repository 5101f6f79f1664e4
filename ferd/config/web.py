"""The keys of [web]: the page on which one sees what ferd sees."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from ferd.config.types import File, Flag, Section, Whole


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError(f'"{text}" is no address: use "127.0.0.1", "::1", "0.0.0.0" or one of this machine') from None


def _host_names(names: list[str]) -> list[str]:
    for name in names:
        if not re.fullmatch(r"[a-zA-Z0-9]([a-zA-Z0-9.-]{0,251}[a-zA-Z0-9])?", name):
            raise ValueError(f'"{name}" is no host name: write it without https:// and without a port')
    return [name.lower() for name in names]


class WebConfig(Section):
    enabled: Flag = False
    """Serve the page. It shows the camera's picture to whoever may look: docs/page.md."""
    bind: Annotated[str, AfterValidator(_address)] = "127.0.0.1"
    """The address to listen on. Any but this machine's own loopback demands a token_file."""
    port: Annotated[Whole, Field(ge=1, le=65535)] = 8322
    """The port to listen on."""
    token_file: File | None = None
    """File whose first line is the token, 16 characters or more, that lets people in. Not set: no token is asked for,
    and only this machine can reach the page."""
    allowed_hosts: Annotated[list[str], AfterValidator(_host_names)] = Field(default_factory=list)
    """More names under which the page is reached, such as that of a reverse proxy. This machine's own are known."""
    secure_cookies: Flag = False
    """true behind a reverse proxy that speaks TLS: the login cookie is then never sent without it."""
    max_fps: Annotated[Whole, Field(ge=1, le=30)] = 10
    """Pictures a second at most that a looker gets. None is encoded while nobody looks."""
    max_connections: Annotated[Whole, Field(ge=4, le=1000)] = 64
    """Connections at a time at most."""

    @property
    def local(self) -> bool:
        """Only this machine can reach it."""
        return ipaddress.ip_address(self.bind).is_loopback

    @model_validator(mode="after")
    def _guarded(self) -> WebConfig:
        if self.enabled and not self.local and self.token_file is None:
            raise ValueError(
                f'bind = "{self.bind}" lets others in, so token_file is needed: '
                "`python3 -c 'import secrets; print(secrets.token_urlsafe(24))' > web-token` makes one"
            )
        return self
