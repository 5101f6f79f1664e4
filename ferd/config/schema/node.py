"""[node]: the name of this machine in topics and in Home Assistant."""

from __future__ import annotations

import re
import socket
from typing import Annotated

from pydantic import Field

from ferd.config.schema.values import LINE_PATTERN, Name, Section


def host_name() -> str:
    """Return this machine's host name in the form that topics allow: [a-z0-9-]{1,32}."""
    return re.sub(r"[^a-z0-9-]+", "-", socket.gethostname().lower()).strip("-")[:32] or "ferd"


class NodeConfig(Section):
    name: Name = Field(default_factory=host_name)
    """Name of this machine in topics: ferd/<name>/…  Letters a-z, digits and hyphens. Default: the host name."""
    id: Name | None = None
    """Identity towards Home Assistant, for machines that run more than one ferd: give every ferd but the first its own
    id and never change it. Not set: derived from the machine id, so that a new name keeps all entities."""
    area: Annotated[str, Field(pattern=LINE_PATTERN, max_length=64)] | None = None
    """Room of this machine, such as "Living room": Home Assistant puts the new device into this area. A device that is
    in an area already stays there."""
