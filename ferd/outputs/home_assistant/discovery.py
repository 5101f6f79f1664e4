"""Make the identity of this node and the discovery documents from which Home Assistant creates its entities.

The device form of MQTT discovery came with Home Assistant 2024.11: one document for all entities. It rejects unknown
keys at the root of the document, and then ignores the whole device with one line in its log; so only full names of
documented keys are used here. Older versions get one document per entity.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from ferd import __version__
from ferd.outputs.home_assistant.entities import NONE, Device, entities
from ferd.payloads import Json
from ferd.topics import DISCOVERY, DISCOVERY_COMPONENT, Message

__all__ = ["Device", "Form", "announcement", "document", "documents", "identity"]

MACHINE_ID = Path("/etc/machine-id")

Form = Literal["device", "components"]
NOTHING: Mapping[str, str] = MappingProxyType({})


def identity(node_id: str | None = None, machine_id: Path = MACHINE_ID) -> str:
    """Return ``ferd_`` and six hex digits that do not change when the node or the host is renamed.

    ``node_id``: [node] id, which distinguishes several ferds on one machine. Without a machine id (some containers) the
    host name is used: renaming the host then makes new entities.
    """
    try:
        name = machine_id.read_text().strip() or socket.gethostname()
    except OSError:
        name = socket.gethostname()
    return "ferd_" + hashlib.sha256(f"{name}{node_id or ''}ferd".encode()).hexdigest()[:6]


def documents(prefix: str, device: Device, form: Form, gone: Mapping[str, str] = NOTHING) -> list[Message]:
    """Return the retained messages that create all entities of this node.

    ``gone``: platforms of removed entities by their key. The device form removes an entity that has only its platform
    in the document; in the other form its document is cleared, which is not done here.
    """
    if form == "device":
        whole = document(device, gone)
        return [DISCOVERY.message(whole, prefix=prefix, identity=device.identity)]
    head = _head(device)
    return [
        DISCOVERY_COMPONENT.message(
            head | _for_older(entity),
            prefix=prefix,
            platform=entity["platform"],
            identity=device.identity,
            key=key,
        )
        for key, entity in entities(device).items()
    ]


def _for_older(entity: Json) -> Json:
    """Return the entity as Home Assistant before 2024.11 accepts it.

    2024.3 reads "None" as unknown only in numbers, and a sensor with options keeps its old state for any value that is
    not an option. Without options it accepts "unknown".
    """
    plain = {name: value for name, value in entity.items() if name != "platform"}
    if "options" in plain:
        del plain["options"], plain["device_class"]
        plain["value_template"] = plain["value_template"].replace(f"'{NONE}'", "'unknown'")
    return plain


def document(device: Device, gone: Mapping[str, str] = NOTHING) -> Json:
    """Return the discovery document as Home Assistant's mqtt/schemas.py accepts it."""
    removed = {key: {"platform": platform} for key, platform in gone.items()}
    return _head(device) | {"components": entities(device) | removed}


def announcement(prefix: str, device: Device) -> Message:
    """Return the device document as it is sent when nothing was announced before."""
    return documents(prefix, device, "device")[0]


def _head(device: Device) -> Json:
    about: Json = {
        "identifiers": [device.identity],
        "name": device.label,
        "manufacturer": "ferd",
        "model": device.model,
        "sw_version": __version__,
    }
    if device.page_url is not None:
        about["configuration_url"] = device.page_url
    if device.area is not None:
        about["suggested_area"] = device.area
    return {"device": about, "origin": {"name": "ferd", "sw_version": __version__}}
