"""[web]: the page, and who may open it."""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from ferd.config.schema.values import File, Flag, Section, Whole


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError('not an address: use "127.0.0.1", "::1", "0.0.0.0" or an address of this machine') from None


def _host_names(names: list[str]) -> list[str]:
    for name in names:
        if not re.fullmatch(r"[a-zA-Z0-9]([a-zA-Z0-9.-]{0,251}[a-zA-Z0-9])?", name):
            raise ValueError("each must be a host name, without https:// and without a port")
    return [name.lower() for name in names]


def _page_url(text: str) -> str:
    # Home Assistant discards the whole device for an address that it does not accept.
    found = re.fullmatch(r"https?://([a-zA-Z0-9.-]+|\[[0-9a-fA-F:]+\])(?::(\d{1,5}))?(/[^\s?#]*)?", text)
    if found is None or not 1 <= int(found[2] or 80) <= 65535:
        raise ValueError('not the address of a page: write it as in "https://ferd.example/"')
    return text


class WebConfig(Section):
    enabled: Flag = False
    """Serve the web page. It shows the camera's picture to everybody who can open it: docs/page.md."""
    bind: Annotated[str, AfterValidator(_address)] = "127.0.0.1"
    """The address to listen on. Any address but a loopback address requires a token_file or a trusted_proxy."""
    port: Annotated[Whole, Field(ge=1, le=65535)] = 8322
    """The port to listen on."""
    token_file: File | None = Field(default=None, repr=False)
    """File whose first line is the access token, 16 characters or more. Not set: no token is required, and only this
    machine can reach the page."""
    allowed_hosts: Annotated[list[str], AfterValidator(_host_names)] = Field(default_factory=list)
    """More host names for the page, such as that of a reverse proxy. This machine's own names are always allowed."""
    url: Annotated[str, AfterValidator(_page_url)] | None = None
    """Address of the page for people, if it is not that of this machine: that of a reverse proxy. Home Assistant links
    to it."""
    trusted_proxy: Annotated[str, AfterValidator(_address)] | None = None
    """Address of a proxy that logs its users in, such as Home Assistant's ingress: its requests need no token. Without
    a token_file it alone may open the page."""
    secure_cookies: Flag = False
    """true behind a reverse proxy with TLS: the login cookie is then never sent over plain HTTP."""
    max_fps: Annotated[Whole, Field(ge=1, le=30)] = 10
    """Maximum frames per second for each viewer. Nothing is encoded while nobody is connected."""
    max_connections: Annotated[Whole, Field(ge=4, le=1000)] = 64
    """Maximum number of connections at the same time."""

    @property
    def local(self) -> bool:
        """Whether only this machine can reach the page."""
        return ipaddress.ip_address(self.bind).is_loopback

    @property
    def url_for_others(self) -> str | None:
        """The page's address for other machines; None if the page is off or they cannot reach it.

        If it listens on all addresses, that is the host's name, which mDNS makes known: an address may change.
        """
        if not self.enabled or self.url is not None:
            return self.url if self.enabled else None
        if self.local or self.token_file is None:
            return None  # nobody, or only a proxy, may open it
        address = ipaddress.ip_address(self.bind)
        host = f"[{address}]" if address.version == 6 else str(address)
        if address.is_unspecified:
            host = socket.gethostname().lower()
            host = host if "." in host else f"{host}.local"
        return f"http://{host}:{self.port}/"

    @model_validator(mode="after")
    def _protected(self) -> WebConfig:
        if self.enabled and not self.local and self.token_file is None and self.trusted_proxy is None:
            raise ValueError(
                f'bind = "{self.bind}" lets other machines in, so token_file is needed: '
                "`python3 -c 'import secrets; print(secrets.token_urlsafe(24))' > web-token` makes one"
            )
        return self
