"""The keys of [mqtt]."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from ferd.config.types import File, Flag, Section, Whole


def _bare_host(host: str) -> str:
    if not host or "/" in host or any(c.isspace() for c in host):
        raise ValueError("only the name or the address belongs here, without mqtt:// and without blanks")
    return host


class MqttConfig(Section):
    host: Annotated[str, AfterValidator(_bare_host)] = "localhost"
    """Name or address of the broker."""
    port: Annotated[Whole, Field(ge=1, le=65535)] = 1883
    """Port of the broker (8883 is usual with TLS)."""
    username: str | None = None
    """User name at the broker."""
    password_file: File | None = None
    """File whose first line is the password. The systemd credential `mqtt.password` is used when this is not set."""
    tls: Flag = False
    """Encrypt the connection."""
    ca_file: File | None = None
    """Certificate of the authority that signed the broker's. Default: those of the system."""
    discovery: Flag = True
    """Announce the entities to Home Assistant."""
    discovery_prefix: Annotated[str, Field(pattern=r"^[^#+\s]+$")] = "homeassistant"
    """Home Assistant's discovery prefix."""
