"""What Home Assistant needs to find this node by itself: its identity and one discovery document for the device.

The device form of MQTT discovery came with Home Assistant 2024.11. The root of the document is closed there: one
unknown key drops the whole device with one line in its log, so only full names of documented keys stand here.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ferd import __version__
from ferd.publish import topics
from ferd.publish.topics import Json, Message

MACHINE_ID = Path("/etc/machine-id")
NONE = "None"
"""What a template must render for Home Assistant to show a sensor as unknown."""


def identity(machine_id: Path = MACHINE_ID) -> str:
    """``ferd_`` and six hex digits that stay the same when the node or the host is renamed.

    Where there is no machine id (some containers) the host name stands in: a rename then makes new entities.
    """
    try:
        name = machine_id.read_text().strip() or socket.gethostname()
    except OSError:
        name = socket.gethostname()
    return "ferd_" + hashlib.sha256(f"{name}ferd".encode()).hexdigest()[:6]


@dataclass(frozen=True, slots=True)
class Device:
    """What is announced. ``labels``: the expressions that the model knows."""

    identity: str
    node: str
    cameras: Sequence[str]
    labels: Sequence[str]
    model: str = "expression sensor"


def announcement(prefix: str, device: Device) -> Message:
    """The retained message that makes all entities of this node."""
    return topics.discovery_message(prefix, device.identity, document(device))


def document(device: Device) -> Json:
    """The discovery document as Home Assistant's mqtt/schemas.py takes it."""
    components: Json = {}
    for camera in device.cameras:
        components.update(_camera_components(device, camera))
    return {
        "device": {
            "identifiers": [device.identity],
            "name": device.node,
            "manufacturer": "ferd",
            "model": device.model,
            "sw_version": __version__,
        },
        "origin": {"name": "ferd", "sw_version": __version__},
        "components": components,
    }


def _camera_components(device: Device, camera: str) -> Iterator[tuple[str, Json]]:
    """The entities of one camera: what is seen by default, then what a user may enable."""
    state = topics.camera_state(device.node, camera)
    yield _entity(
        device,
        camera,
        "sensor",
        "expression",
        icon="mdi:emoticon-outline",
        device_class="enum",
        options=list(device.labels),
        state_topic=state,
        value_template=_value("expression"),
    )
    yield _entity(
        device,
        camera,
        "binary_sensor",
        "face",
        device_class="occupancy",
        state_topic=state,
        value_template="{{ 'ON' if value_json.faces > 0 else 'OFF' }}",
    )
    yield _entity(
        device,
        camera,
        "event",
        "event",
        icon="mdi:emoticon-happy-outline",
        event_types=list(topics.EVENT_TYPES),
        state_topic=topics.camera_event(device.node, camera),
    )
    yield _entity(
        device,
        camera,
        "sensor",
        "confidence",
        enabled_by_default=False,
        state_class="measurement",
        unit_of_measurement="%",
        state_topic=state,
        value_template=(
            f"{{{{ (value_json.confidence * 100) | round | int if value_json.confidence is not none else '{NONE}' }}}}"
        ),
    )
    yield _entity(
        device,
        camera,
        "sensor",
        "people",
        enabled_by_default=False,
        icon="mdi:account-multiple",
        state_class="measurement",
        state_topic=state,
        value_template="{{ value_json.faces }}",
    )
    yield _entity(
        device,
        camera,
        "sensor",
        "frame_rate",
        enabled_by_default=False,
        entity_category="diagnostic",
        state_class="measurement",
        unit_of_measurement="fps",
        state_topic=topics.node_health(device.node),
        value_template=f"{{{{ (value_json.cameras['{camera}'] | default({{}})).fps | default('{NONE}') }}}}",
    )


def _entity(device: Device, camera: str, platform: str, what: str, **more: object) -> tuple[str, Json]:
    """One component, under a key that stays the same. Two availability topics need the mode "all"."""
    key = f"{camera.replace('-', '_')}_{what}"
    return key, {
        "platform": platform,
        "unique_id": f"{device.identity}_{key}",
        "default_entity_id": f"{platform}.{device.node.replace('-', '_')}_{key}",
        "name": f"{camera} {what.replace('_', ' ')}",
        "availability": [
            {"topic": topics.node_status(device.node)},
            {"topic": topics.camera_status(device.node, camera)},
        ],
        "availability_mode": "all",
        **more,
    }


def _value(key: str) -> str:
    return f"{{{{ value_json.{key} if value_json.{key} is not none else '{NONE}' }}}}"
