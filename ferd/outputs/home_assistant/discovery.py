"""How Home Assistant finds this node by itself: its identity, and the documents that make its entities.

The device form of MQTT discovery came with Home Assistant 2024.11: one document for all. The root of the document is
closed there: one unknown key drops the whole device with one line in its log, so only full names of documented keys
stand here. For older ones there is one document an entity.
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
from ferd.outputs.mqtt.topics import DISCOVERY, DISCOVERY_COMPONENT, Json, Message

__all__ = ["Device", "Form", "announcement", "document", "documents", "identity"]

MACHINE_ID = Path("/etc/machine-id")

Form = Literal["device", "components"]
NOBODY: Mapping[str, str] = MappingProxyType({})


def identity(node_id: str | None = None, machine_id: Path = MACHINE_ID) -> str:
    """``ferd_`` and six hex digits that stay the same when the node or the host is renamed.

    ``node_id``: [node] id, which tells several ferds on one machine apart. Where there is no machine id (some
    containers) the host name stands in: a rename then makes new entities.
    """
    try:
        name = machine_id.read_text().strip() or socket.gethostname()
    except OSError:
        name = socket.gethostname()
    return "ferd_" + hashlib.sha256(f"{name}{node_id or ''}ferd".encode()).hexdigest()[:6]


def documents(prefix: str, device: Device, form: Form, gone: Mapping[str, str] = NOBODY) -> list[Message]:
    """The retained messages that make all entities of this node.

    ``gone``: platforms of entities that are no more, by their key. The device form removes an entity when it stands in
    the document with nothing but its platform; in the other form its document is cleared, which is not done here.
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
    """The entity as Home Assistant before 2024.11 takes it.

    2024.3 takes "None" for unknown in a number only, and in a sensor with options nothing that is not an option: there
    the old state would stand for ever. Without its options it takes "unknown".
    """
    plain = {name: value for name, value in entity.items() if name != "platform"}
    if "options" in plain:
        del plain["options"], plain["device_class"]
        plain["value_template"] = plain["value_template"].replace(f"'{NONE}'", "'unknown'")
    return plain


def document(device: Device, gone: Mapping[str, str] = NOBODY) -> Json:
    """The discovery document as Home Assistant's mqtt/schemas.py takes it."""
    removed = {key: {"platform": platform} for key, platform in gone.items()}
    return _head(device) | {"components": entities(device) | removed}


def announcement(prefix: str, device: Device) -> Message:
    """The device document as it is sent when nothing was announced before."""
    return documents(prefix, device, "device")[0]


def _head(device: Device) -> Json:
    return {
        "device": {
            "identifiers": [device.identity],
            "name": device.node,
            "manufacturer": "ferd",
            "model": device.model,
            "sw_version": __version__,
        },
        "origin": {"name": "ferd", "sw_version": __version__},
    }
