"""Define the entities that Home Assistant shows for one ferd.

Two properties of Home Assistant matter here (its mqtt/entity.py and mqtt/discovery.py, 2024.3 to 2026.11): it ignores a
payload of an availability topic that is neither "available" nor "not available", so "disabled" is mapped to one of
them; and a template that renders "None" shows a sensor as unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from ferd import topics
from ferd.names import slug
from ferd.payloads import EVENT_TYPES, Json
from ferd.types import LEVELS, Unjudged

NONE = "None"
DIAGNOSTIC = "diagnostic"
CONFIG = "config"
HIDDEN = {"enabled_by_default": False}
"""For entities that only some users need: they can be enabled in Home Assistant."""
NO_VALUE = "{}"
"""The payload of a button: a request without a value."""


@dataclass(frozen=True, slots=True)
class Device:
    """Describe the node that is announced.

    Attributes:
        labels: the expressions of the model.
        alerts: the names of the alert rules.
        fatigue: fatigue detection is enabled.
        gestures: the gestures that are recognised.
        buzzer: a buzzer is configured.
        image: pictures are published.
        area: the room in which the node is.
        page_url: address of the page; None if only this machine can reach it.
    """

    identity: str
    node: str
    cameras: Sequence[str]
    labels: Sequence[str]
    model: str = "expression sensor"
    alerts: Sequence[str] = ()
    fatigue: bool = False
    gestures: Sequence[str] = ()
    buzzer: bool = False
    image: bool = False
    area: str | None = None
    page_url: str | None = None

    @property
    def label(self) -> str:
        """The name that people read: "Hall Pi" for the node "hall-pi"."""
        return " ".join(word.capitalize() for word in self.node.split("-") if word) or self.node


def entities(device: Device) -> dict[str, Json]:
    """Return all entities by their key, which does not change when the node is renamed. "platform" is their kind."""
    found: dict[str, Json] = {}
    for camera in device.cameras:
        found.update(_seen(_Camera(device, camera)))
        found.update(_alerts(_Camera(device, camera)))
        found.update(_gestures(_Camera(device, camera)))
        found.update(_controls(_Camera(device, camera)))
    found.update(_node(device))
    return found


class _Camera:
    """Make the entities of one camera."""

    def __init__(self, device: Device, name: str) -> None:
        self.device, self.name = device, name

    def at(self, topic: topics.Topic[Any]) -> str:
        return topic.at(node=self.device.node, camera=self.name)

    def seen(self, platform: str, what: str, **more: object) -> tuple[str, Json]:
        """Make an entity that is available while the camera delivers frames."""
        status = {
            "topic": self.at(topics.CAMERA_STATUS),
            "value_template": "{{ 'online' if value == 'online' else 'offline' }}",
        }
        return self._entity(platform, what, [_running(self.device), status], more)

    def control(self, platform: str, what: str, **more: object) -> tuple[str, Json]:
        """Make an entity that is available while ferd runs, also when the camera is switched off or fails."""
        return self._entity(platform, what, [_running(self.device)], more)

    def _entity(self, platform: str, what: str, availability: list[Json], more: Json) -> tuple[str, Json]:
        # A camera's name has no underscore, `what` no hyphen: no two entities have one key.
        called = more.pop("called", what)
        name = more.pop("name", called.replace("_", " "))
        if len(self.device.cameras) > 1:
            name = f"{self.name.replace('-', ' ')} {name}"
        return _entity(
            self.device,
            platform,
            f"{self.name}_{what}",
            f"{self.name}_{slug(called)}",
            name=name,
            availability=availability,
            more=more,
        )


def _seen(camera: _Camera) -> Iterator[tuple[str, Json]]:
    """Yield what a camera sees, and its frame rate."""
    state = camera.at(topics.STATE)
    yield camera.seen(
        "sensor",
        "expression",
        icon="mdi:emoticon-outline",
        device_class="enum",
        options=list(camera.device.labels),
        state_topic=state,
        value_template=_value("expression"),
    )
    yield camera.seen(
        "binary_sensor",
        "face",
        device_class="occupancy",
        state_topic=state,
        value_template="{{ 'ON' if value_json.faces > 0 else 'OFF' }}",
    )
    yield camera.seen(
        "event",
        "event",
        icon="mdi:emoticon-happy-outline",
        event_types=list(EVENT_TYPES),
        state_topic=camera.at(topics.EVENT),
    )
    yield camera.seen(
        "sensor",
        "confidence",
        icon="mdi:percent",
        state_class="measurement",
        unit_of_measurement="%",
        state_topic=state,
        value_template=_percent("confidence"),
    )
    yield camera.seen(
        "sensor",
        "people",
        icon="mdi:account-multiple",
        state_class="measurement",
        state_topic=state,
        value_template="{{ value_json.faces }}",
    )
    if camera.device.image:
        yield camera.seen(
            "image",
            "image",
            name="picture",
            image_topic=camera.at(topics.IMAGE),
            content_type="image/jpeg",
        )
    yield camera.seen(
        "sensor",
        "frame_rate",
        **HIDDEN,
        icon="mdi:speedometer",
        entity_category=DIAGNOSTIC,
        state_class="measurement",
        unit_of_measurement="fps",
        state_topic=topics.NODE_HEALTH.at(node=camera.device.node),
        value_template=f"{{{{ (value_json.cameras['{camera.name}'] | default({{}})).fps | default('{NONE}') }}}}",
    )


def _alerts(camera: _Camera) -> Iterator[tuple[str, Json]]:
    """Yield a binary sensor for every alert, and the measures of fatigue."""
    for name in camera.device.alerts:
        yield _alert(camera, name, icon="mdi:bell-alert-outline")
    if not camera.device.fatigue:
        return
    yield _alert(camera, "fatigue", device_class="safety")
    yield camera.seen(
        "sensor",
        "drowsiness",
        icon="mdi:sleep",
        device_class="enum",
        options=list(LEVELS),
        state_topic=camera.at(topics.FATIGUE),
        value_template="{{ value_json.level }}",
    )
    yield camera.seen(
        "sensor",
        "eye_closure",
        icon="mdi:eye-off-outline",
        state_class="measurement",
        unit_of_measurement="%",
        state_topic=camera.at(topics.FATIGUE),
        value_template=_percent("perclos"),
    )
    yield camera.control(
        "sensor",
        "driver_watch",
        icon="mdi:shield-eye-outline",
        device_class="enum",
        options=["judged", *get_args(Unjudged)],
        state_topic=camera.at(topics.FATIGUE),
        value_template="{{ value_json.unjudged or 'judged' }}",
    )


def _gestures(camera: _Camera) -> Iterator[tuple[str, Json]]:
    """Yield an event entity for gestures, and a device trigger for each: "wink left -> toggle" in two clicks."""
    if not camera.device.gestures:
        return
    topic = camera.at(topics.EVENT)
    # A gesture that waited for the broker must not switch anything a minute later.
    of_main = "value_json.event_type == 'gesture' and value_json.main and value_json.late is not defined"
    yield camera.seen(
        "event",
        "gesture",
        icon="mdi:gesture-tap",
        event_types=list(camera.device.gestures),
        state_topic=topic,
        # Home Assistant ignores an empty payload: other events of the topic are none of this entity.
        value_template=f"{{{{ {{'event_type': value_json.gesture}} | tojson if {of_main} }}}}",
    )
    for name in camera.device.gestures:
        # A trigger has neither a unique id nor an availability.
        yield (
            f"{camera.name}_trigger_{name}",
            {
                "platform": "device_automation",
                "automation_type": "trigger",
                "type": name.replace("_", " "),
                "subtype": camera.name,
                "topic": topic,
                "payload": name,
                "value_template": f"{{{{ value_json.gesture if {of_main} }}}}",
            },
        )


def _alert(camera: _Camera, name: str, **more: object) -> tuple[str, Json]:
    short = slug(name)
    return camera.seen(
        "binary_sensor",
        f"alert_{short.replace('-', '_')}",
        called=name,
        name=name,
        **more,
        state_topic=camera.at(topics.ALERT),
        value_template=f"{{{{ 'ON' if '{short}' in value_json.active else 'OFF' }}}}",
    )


def _controls(camera: _Camera) -> Iterator[tuple[str, Json]]:
    """Yield what a user can set. Available while ferd runs: a camera that is off must be switched on again."""
    yield camera.control(
        "switch",
        "enabled",
        # Not "camera camera" where the camera is called that.
        called="camera" if camera.name != "camera" else "enabled",
        name="camera" if len(camera.device.cameras) == 1 or camera.name != "camera" else "enabled",
        icon="mdi:camera",
        state_topic=camera.at(topics.ENABLED),
        command_topic=camera.at(topics.SET_ENABLED),
    )
    yield camera.control(
        "number",
        "sensitivity",
        icon="mdi:tune-variant",
        entity_category=CONFIG,
        min=0,
        max=100,
        step=1,
        mode="slider",
        state_topic=camera.at(topics.SENSITIVITY),
        command_topic=camera.at(topics.SET_SENSITIVITY),
    )
    if camera.device.buzzer:
        yield camera.control(
            "switch",
            "buzzer",
            icon="mdi:bullhorn",
            entity_category=CONFIG,
            state_topic=camera.at(topics.BUZZER),
            command_topic=camera.at(topics.SET_BUZZER),
        )


def _node(device: Device) -> Iterator[tuple[str, Json]]:
    """Yield what belongs to the whole node: requests and health."""

    def of_node(platform: str, what: str, **more: object) -> tuple[str, Json]:
        name = what.replace("_", " ")
        return _entity(device, platform, what, what, name=name, availability=[_running(device)], more=more)

    health = topics.NODE_HEALTH.at(node=device.node)
    if device.buzzer:
        yield of_node(
            "button",
            "snooze",
            icon="mdi:bell-sleep-outline",
            command_topic=topics.SNOOZE.at(node=device.node),
            payload_press=NO_VALUE,
        )
    yield of_node(
        "button",
        "restart",
        entity_category=DIAGNOSTIC,
        device_class="restart",
        command_topic=topics.RESTART.at(node=device.node),
        payload_press=NO_VALUE,
    )
    yield of_node(
        "sensor",
        "temperature",
        **HIDDEN,
        entity_category=DIAGNOSTIC,
        device_class="temperature",
        state_class="measurement",
        unit_of_measurement="°C",
        state_topic=health,
        value_template=_value("temperature_c"),
    )
    yield of_node(
        "binary_sensor",
        "throttled",
        **HIDDEN,
        entity_category=DIAGNOSTIC,
        device_class="problem",
        state_topic=health,
        value_template=(
            f"{{{{ '{NONE}' if value_json.throttled is none else 'ON' if value_json.throttled else 'OFF' }}}}"
        ),
    )
    yield of_node(
        "sensor",
        "last_restart",
        **HIDDEN,
        entity_category=DIAGNOSTIC,
        device_class="timestamp",
        state_topic=health,
        value_template="{{ value_json.started }}",
    )


def _entity(
    device: Device, platform: str, key: str, called: str, *, name: str, availability: list[Json], more: Json
) -> tuple[str, Json]:
    """Make one entity. Two availability topics need the mode "all".

    ``called``: what the entity id is made of. Home Assistant before 2025.10 knows only object_id; versions that know
    both prefer default_entity_id, and newer ones ignore object_id. ``name``: its first letter becomes a capital.
    """
    object_id = f"{device.node}_{called}".replace("-", "_")
    return key, {
        "platform": platform,
        "unique_id": f"{device.identity}_{key}",
        "default_entity_id": f"{platform}.{object_id}",
        "object_id": object_id,
        "name": name[:1].upper() + name[1:],
        "availability": availability,
        "availability_mode": "all",
        **more,
    }


def _running(device: Device) -> Json:
    return {"topic": topics.NODE_STATUS.at(node=device.node)}


def _value(key: str) -> str:
    return f"{{{{ value_json.{key} if value_json.{key} is not none else '{NONE}' }}}}"


def _percent(key: str) -> str:
    return f"{{{{ (value_json.{key} * 100) | round | int if value_json.{key} is not none else '{NONE}' }}}}"
