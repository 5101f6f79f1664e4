"""[mqtt]: the broker, the connection to it, and what is published."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from ferd.config.schema.values import LEVELS_PATTERN, File, Flag, Section, Whole


def _bare_host(host: str) -> str:
    """Return a host name or address; an IPv6 address without its brackets."""
    address = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    if not address.strip():
        raise ValueError("it is empty: write the name or the address of a broker")
    if re.match(r"_[^.]+\._(tcp|udp)\.", address):
        raise ValueError("SRV records are not read: write the names of the brokers themselves, as hosts")
    if ":" in address:
        try:
            ipaddress.IPv6Address(address)
        except ValueError:
            if re.fullmatch(r"(\[.*\]|[^:@/]+):\d{1,5}", host):
                name, _, port = host.rpartition(":")
                raise ValueError(
                    f'the port is a key of its own: host = "{name.strip("[]")}" and port = {port}'
                ) from None
        else:
            return address
    if not re.fullmatch(r"[\w](?:[\w.-]*[\w.])?", address):
        raise ValueError("write only the name or the address, without mqtt://, without a user name and without blanks")
    return address


def _server(text: str) -> tuple[str, int | None]:
    """Return host and port of "name", "name:port", "::1" or "[::1]:port"."""
    match = re.fullmatch(r"(\[.*\]|[^:]+):(\d{1,5})", text)
    if match is None:
        return _bare_host(text), None
    if not 0 < int(match[2]) < 65536:
        raise ValueError("a port is a number from 1 to 65535")
    return _bare_host(match[1]), int(match[2])


def _servers(texts: list[str]) -> list[str]:
    servers = [_key(*_server(text)) for text in texts]
    if len(set(servers)) < len(servers):
        raise ValueError("one of them is listed twice")
    return texts


def _key(host: str, port: int | None) -> tuple[str, int | None]:
    """Return what is equal for two spellings of one server."""
    try:
        return str(ipaddress.ip_address(host)), port
    except ValueError:
        return host.casefold().removesuffix("."), port


def _topic_prefix(prefix: str) -> str:
    """Return a prefix without slashes at its end: "homeassistant/" would announce below an empty level."""
    prefix = prefix.rstrip("/")
    levels = prefix.split("/")
    if not all(levels[1:]) or not prefix.strip("/") or prefix.startswith("$") or not prefix.isprintable():
        raise ValueError('write topic levels separated by single slashes, such as "homeassistant"')
    return prefix


def _url_path(path: str) -> str:
    if not re.fullmatch(r"/[!-~]*", path):
        raise ValueError('write a path that begins with a slash, such as "/mqtt", without blanks')
    return path


class MqttConfig(Section):
    host: Annotated[str, AfterValidator(_bare_host)] = "localhost"
    """Name or address of the broker."""
    port: Annotated[Whole, Field(ge=1, le=65535)] = 1883
    """Port of the broker (8883 is usual with TLS)."""
    username: str | None = Field(default=None, repr=False)
    """User name at the broker. Without it and username_file: the systemd credential `mqtt.username`, if present."""
    username_file: File | None = Field(default=None, repr=False)
    """File whose first line is the user name, instead of `username`."""
    password_file: File | None = Field(default=None, repr=False)
    """File whose first line is the password. Not set: the systemd credential `mqtt.password`, if present."""
    hosts: Annotated[list[str], AfterValidator(_servers), Field(max_length=16)] = Field(default_factory=list)
    """More brokers that serve the same clients, such as the nodes of a cluster: "name" or "name:port". They are tried
    in this order, after `host` if that is set; ferd returns to the first one after 5 to 15 minutes."""
    hosts_order: Literal["given", "random"] = "given"
    """"random": each ferd takes another order, which spreads a fleet over the nodes of a cluster."""
    transport: Literal["tcp", "websockets"] = "tcp"
    """"websockets" for a broker that is reached through a web server or proxy."""
    websocket_path: Annotated[str, AfterValidator(_url_path)] = Field(default="/mqtt", repr=False)
    """Path of the broker's websocket, with transport = "websockets"."""
    tls: Flag = False
    """Encrypt the connection."""
    ca_file: File | None = None
    """Certificate of the authority that signed the broker's certificate. Default: the authorities of the system."""
    cert_file: File | None = None
    """Client certificate (PEM), for brokers that ask for one."""
    key_file: File | None = None
    """Private key of `cert_file` (PEM, without a passphrase). Default: it is in `cert_file` as well."""
    tls_verify: Flag = True
    """Check the broker's certificate. false: encrypt without checking, so anybody on the network path can read and
    change everything. For tests only; each start logs a warning."""
    discovery: Literal[True, False, "device", "components"] = True
    """Announce the entities to Home Assistant: true (or "device") in one document; "components" in one for each entity,
    for versions before 2024.11; false not at all."""
    discovery_prefix: Annotated[str, Field(pattern=LEVELS_PATTERN), AfterValidator(_topic_prefix)] = "homeassistant"
    """Home Assistant's discovery prefix."""
    image: Literal[True, False, "face", "frame"] = False
    """Publish a JPEG when the expression changes, at most one every 5 s: true (or "face") shows the main face, "frame"
    all that the camera sees. Everybody who may read ferd's topics at the broker can see it: docs/privacy.md."""
    persist_events: Flag = False
    """Keep events on disk until the broker has acknowledged them, so that they survive a long absence of the broker,
    a restart and a power cut. Without it they wait in memory for a minute at most."""
    persist_max_events: Annotated[Whole, Field(ge=16, le=100_000)] = 10_000
    """Maximum number of stored events, on disk (0.3 kB each) and in memory (0.7 kB). When full, the oldest are
    dropped."""

    event_expiry_s: Annotated[Whole, Field(ge=1, le=2_592_000)] = 60
    """The broker discards an event that it could not deliver for this long (MQTT 5), such as to a subscriber with a
    persistent session that is away. A database that must miss nothing needs more, such as 86400. Below 60, events wait
    in ferd's memory no longer than this either."""

    @property
    def servers(self) -> tuple[tuple[str, int], ...]:
        """Host and port of each broker in the order of preference: `host`, unless only `hosts` is set, and `hosts`."""
        more = [(host, port or self.port) for host, port in map(_server, self.hosts)]
        first = [(self.host, self.port)] if "host" in self.model_fields_set or not more else []
        found: dict[tuple[str, int | None], tuple[str, int]] = {}
        for server in (*first, *more):
            found.setdefault(_key(*server), server)
        return tuple(found.values())

    @property
    def discovery_form(self) -> Literal["device", "components"] | None:
        """How the entities are announced; None: not at all."""
        if isinstance(self.discovery, str):
            return self.discovery
        return "device" if self.discovery else None

    @property
    def image_of(self) -> Literal["face", "frame"] | None:
        """What is published as a picture; None: nothing."""
        if isinstance(self.image, str):
            return self.image
        return "face" if self.image else None

    @model_validator(mode="after")
    def _consistent(self) -> MqttConfig:
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
