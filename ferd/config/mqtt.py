"""The keys of [mqtt]."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

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
    """User name at the broker. The systemd credential `mqtt.username` is used when neither this nor its file is set."""
    username_file: File | None = None
    """File whose first line is the user name, instead of `username`."""
    password_file: File | None = None
    """File whose first line is the password. The systemd credential `mqtt.password` is used when this is not set."""
    tls: Flag = False
    """Encrypt the connection."""
    ca_file: File | None = None
    """Certificate of the authority that signed the broker's. Default: those of the system."""
    cert_file: File | None = None
    """Certificate with which ferd shows who it is, where the broker asks for one (PEM)."""
    key_file: File | None = None
    """Private key of `cert_file` (PEM, without a passphrase). Default: it stands in `cert_file` as well."""
    tls_verify: Flag = True
    """Check the broker's certificate. false: encrypt without checking, so anybody on the network path can read and
    change everything. For a test only; each start logs a warning."""
    discovery: Literal[True, False, "device", "components"] = True
    """Announce the entities to Home Assistant: true (or "device") in one document; "components" in one for each entity,
    for versions before 2024.11; false not at all."""
    discovery_prefix: Annotated[str, Field(pattern=r"^[^#+\s]+$")] = "homeassistant"
    """Home Assistant's discovery prefix."""
    persist_events: Flag = False
    """Keep events on disk until the broker has acknowledged them, so that they outlive a broker that is away for long,
    a restart and a power cut. Without it they wait at most a minute, in memory."""
    persist_max_events: Annotated[Whole, Field(ge=16, le=100_000)] = 10_000
    """The journal keeps so many events at most, on disk (0.3 kB each) and in memory (0.7 kB); then the oldest go."""

    @property
    def discovery_form(self) -> Literal["device", "components"] | None:
        """How the entities are announced; None: not at all."""
        if isinstance(self.discovery, str):
            return self.discovery
        return "device" if self.discovery else None

    @model_validator(mode="after")
    def _certificates(self) -> MqttConfig:
        if self.username is not None and self.username_file is not None:
            raise ValueError("username and username_file are both set: remove one of them")
        given = [name for name in ("ca_file", "cert_file", "key_file") if getattr(self, name)]
        if not self.tls and (given := [*given, *([] if self.tls_verify else ["tls_verify"])]):
            raise ValueError(f"{given[0]} is set but the connection is not encrypted: set tls = true")
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("key_file is set but cert_file is not: set both")
        if not self.tls_verify and self.ca_file is not None:
            raise ValueError("tls_verify = false turns off the check that ca_file is for: remove tls_verify")
        return self
