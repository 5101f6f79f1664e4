"""The configuration schema: every key with its type, range, default and meaning.

`ferd config default` prints the docstring below each key as the comment of that key.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
import socket
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    Strict,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import ErrorDetails

from ferd.config.source import check_source, is_address, is_browser, login_of
from ferd.errors import ConfigError
from ferd.names import slug
from ferd.policy.gesture_rules import MOST_S, RELIABLE, GestureName
from ferd.policy.sound_patterns import (
    BUILT_IN,
    DEFAULTS,
    LEVELS_OWN,
    MAX_HZ,
    MIN_HZ,
    SILENT,
    Kind,
    Pattern,
    pattern,
)

# ---- types of values ----

NAME_PATTERN = r"^[a-z0-9-]{1,32}$"

Name = Annotated[str, Field(pattern=NAME_PATTERN)]
# Strict: `port = true` and `width = "640"` are mistakes and are reported, not converted.
Whole = Annotated[int, Strict()]
Number = Annotated[float, Strict()]
Flag = Annotated[bool, Strict()]


def _relative_to_config(path: Path, info: ValidationInfo) -> Path:
    if "\0" in str(path):
        raise ValueError("a path cannot hold the character NUL")
    folder = info.context and info.context.get("folder")
    return Path(folder) / path if folder and not str(path).startswith("~") else path


File = Annotated[Path, AfterValidator(_relative_to_config)]
"""A path. In a configuration file, a relative path is relative to the folder of that file."""
Fraction = Annotated[Number, Field(ge=0, le=1)]
Seconds = Annotated[Number, Field(ge=0, le=3600)]


class Section(BaseModel):
    """Base of every section: unknown keys are errors, values are frozen, docstrings describe keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


# ---- [node] ----


def host_name() -> str:
    """Return this machine's host name in the form that topics allow: [a-z0-9-]{1,32}."""
    return re.sub(r"[^a-z0-9-]+", "-", socket.gethostname().lower()).strip("-")[:32] or "ferd"


class NodeConfig(Section):
    name: Name = Field(default_factory=host_name)
    """Name of this machine in topics: ferd/<name>/…  Letters a-z, digits and hyphens. Default: the host name."""
    id: Name | None = None
    """Identity towards Home Assistant, for machines that run more than one ferd: give every ferd but the first its own
    id and never change it. Not set: derived from the machine id, so that a new name keeps all entities."""
    area: Annotated[str, Field(pattern=r"^\S(.*\S)?$", max_length=64)] | None = None
    """Room of this machine, such as "Living room": Home Assistant puts the new device into this area. A device that is
    in an area already stays there."""


# ---- [cameras.NAME] ----


def _rectangles(value: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    for x, y, w, h in value:
        if x < 0 or y < 0 or w <= 0 or h <= 0:
            raise ValueError(f"[{x}, {y}, {w}, {h}] is not a rectangle: use [left, top, width, height] in pixels")
    return value


_ASPECT = re.compile(r"(\d{1,4}(?:\.\d{1,4})?):(\d{1,4}(?:\.\d{1,4})?)")


def _aspect(text: str) -> str:
    match = _ASPECT.fullmatch(text.strip())
    if not match or not (float(match[1]) and float(match[2]) and 1 / 5 <= float(match[1]) / float(match[2]) <= 5):
        raise ValueError('write width and height as two numbers, such as "16:9"')
    return text.strip()


def aspect_ratio(text: str) -> float:
    """Return width divided by height of a valid `aspect`: 1.78 for "16:9"."""
    width, _, height = text.partition(":")
    return float(width) / float(height)


RESERVED = ("request", "response")
"""Topic levels of the node itself (ferd/<node>/request/…), which no camera can use as its name."""


def _not_reserved(name: str) -> str:
    if name in RESERVED:
        raise ValueError(f"{name} is a topic of the node itself; give the camera another name")
    return name


CameraName = Annotated[Name, AfterValidator(_not_reserved)]


class CameraConfig(Section):
    source: Annotated[str, AfterValidator(check_source)] = "auto"
    """"auto", "picamera2", "usb", "usb:1", "/dev/video0", "/dev/v4l/by-id/…", a video file, a picture or a folder of
    pictures, "rtsp://…", "http://…" (MJPEG, a snapshot or video), "demo", or "browser": the camera of the device that
    shows the page (docs/page.md; a second one is "browser:2")."""
    width: Annotated[Whole, Field(ge=64, le=4096)] = 640
    """Requested width of the picture, in pixels."""
    height: Annotated[Whole, Field(ge=48, le=4096)] = 480
    """Requested height of the picture, in pixels."""
    fps: Annotated[Number, Field(gt=0, le=120)] = 15
    """Requested frames per second. Frames that the board cannot analyse in time are skipped and counted."""
    rotate: Literal[0, 90, 180, 270] = 0
    """Rotate the picture clockwise, in degrees."""
    aspect: Annotated[str, AfterValidator(_aspect)] | None = None
    """Width to height of the picture as it should look, such as "16:9" or "4:3", for cameras that send squeezed
    pictures. Not set: as the camera or file says. Applied before `rotate`."""
    max_megapixels: Annotated[Number, Field(ge=0.1, le=200)] = 64
    """Larger pictures are refused before they are decoded."""
    source_password_file: File | None = None
    """File whose first line is the password of the address in `source`, which then contains the user only:
    "rtsp://USER@HOST/PATH". A systemd credential is such a file: /run/credentials/ferd.service/NAME."""
    tls_verify: Flag = True
    """Check the certificate of an https:// or rtsps:// camera. false: accept any, as cameras often sign their own."""

    @model_validator(mode="after")
    def _one_password(self) -> CameraConfig:
        if self.source_password_file is not None:
            user, password = login_of(self.source) if is_address(self.source) else ("", "")
            if password or not user:
                raise ValueError(
                    'source_password_file needs the user, and no password, in source: "rtsp://USER@HOST/PATH"'
                )
        return self

    mirror: Flag = False
    """Swap left and right, as in a mirror."""
    ignore_zones: Annotated[list[tuple[int, int, int, int]], AfterValidator(_rectangles)] = Field(default_factory=list)
    """Rectangles [left, top, width, height] in pixels in which faces are ignored (a poster, a television)."""


# ---- [detector], [expression], [smoothing] ----


class DetectorConfig(Section):
    kind: Literal["auto", "face", "yunet", "haar"] = "auto"
    """"auto" uses the first that is available: face (ferd's own), yunet if its file is found, haar."""
    yunet: File | None = None
    """The YuNet file (face_detection_yunet_2023mar.onnx, from OpenCV Zoo). Also found in the model folders."""
    min_face_px: Annotated[Whole, Field(ge=16, le=1000)] = 48
    """Smallest face to detect, in pixels of the picture."""


class ExpressionConfig(Section):
    model: Annotated[str, Field(min_length=1)] = "expression"
    """The name of an installed model (`ferd model list`), or a path to a .tflite file or bundle folder."""


Profile = Literal["calm", "quick"]
QUICK: Mapping[str, float] = {"time_constant_s": 0.15, "switch_ratio": 1.1, "caution": 0.0}
"""Values of the profile "quick" where they differ from those of "calm", which are the defaults."""


class SmoothingConfig(Section):
    profile: Profile = "calm"
    """"calm" or "quick": the defaults of the keys below; a key that is set overrides its profile.
    calm: for rooms in which people talk. A label follows a clear change after about half a second, that of somebody
    who talks after one or two. quick: after a fifth of a second, but the label flickers while somebody talks."""
    time_constant_s: Annotated[Number, Field(ge=0, le=60)] = 0.4
    """Time constant: seconds of clear evidence that another label needs to replace the current one, longer if doubtful.
    The confidence follows with the same one. quick: 0.15."""
    on_threshold: Fraction = 0.4
    """A label is adopted when it is the most probable one and its probability is at least this."""
    off_threshold: Fraction = 0.2
    """The current label is dropped when its filtered probability stays below this and no other one reaches
    `on_threshold`. Below `on_threshold`: hysteresis."""
    switch_ratio: Annotated[Number, Field(ge=1, le=20)] = 1.5
    """A frame is evidence for another label when that is more than this many times as probable as the current one.
    quick: 1.1."""
    caution: Annotated[Number, Field(ge=0, le=10)] = 1.0
    """How much more evidence a change needs while scores and mouth move to and fro, as of somebody who talks: at 1 two
    to three times as much, at 0 none more. Above 0, frames of a yawn count for little as well. quick: 0."""
    min_hold_s: Seconds = 0.0
    """A new label must lead for this much longer before it is published; the current one is kept until then."""

    @model_validator(mode="wrap")
    @classmethod
    def _of_profile(cls, values: Any, handler: ModelWrapValidatorHandler[SmoothingConfig]) -> SmoothingConfig:
        if not isinstance(values, Mapping) or values.get("profile") != "quick":
            return handler(values)
        config = handler({**QUICK, **values})
        config.model_fields_set.difference_update(QUICK.keys() - values.keys())  # defaults still
        return config

    def rules(self) -> dict[str, float]:
        """Return the values that the smoothing itself takes."""
        return self.model_dump(exclude={"profile"})

    @model_validator(mode="after")
    def _hysteresis(self) -> SmoothingConfig:
        if self.off_threshold > self.on_threshold:
            raise ValueError(
                f"off_threshold ({self.off_threshold}) must not be above on_threshold ({self.on_threshold}): "
                "lower off_threshold or raise on_threshold"
            )
        return self


# ---- [fatigue] ----

LEAST_FPS = 3.0
"""As in ferd.policy.judgement, whose import of numpy the commands that only read the configuration would pay for."""
EyesClosedSeconds = Annotated[Number, Field(ge=0.75, le=60)]
"""At least 0.75 s: longer than any blink."""


class FatigueConfig(Section):
    enabled: Flag = False
    """Watch the main face's eyes and mouth for signs of drowsiness. An aid, not a safety device: docs/fatigue.md."""
    eyes_closed_notice_s: EyesClosedSeconds = 1.0
    """Notice when the eyes have been closed for this long."""
    eyes_closed_warning_s: EyesClosedSeconds = 1.5
    """Warning when the eyes have been closed for this long: a microsleep."""
    eyes_closed_alarm_s: EyesClosedSeconds = 3.0
    """Alarm when the eyes have been closed for this long. Euro NCAP calls this sleep."""
    perclos_notice: Fraction = 0.15
    """Notice when PERCLOS is above this: the share of the last minute with eyes at least 80 % closed.
    If only part of the minute was observed, the limit is divided by the square root of that part."""
    perclos_warning: Fraction = 0.25
    """Warning when PERCLOS is above this. The limit rises in the same way."""
    unseen_after_s: Annotated[Number, Field(ge=0, le=600)] = 10.0
    """Notice when for this long nobody could judge whether the driver sleeps: the eyes were visible for less than a
    third of the last 10 s, the head was turned away, or too few frames came. 0: never; it is published all the same."""
    unjudged_every_s: Seconds = 60.0
    """Repeat that notice, quietly, at this interval for as long as it lasts. 0: once."""
    attention: Flag = False
    """Warn too when head or eyes are off the road. For driving only."""
    attention_after_s: Annotated[Number, Field(ge=1, le=60)] = 3.0
    """Warning when they have been off the road for this long, or for 10 s of the last 30. Euro NCAP: 3 s."""
    allow_low_fps: Flag = False
    """Accept a camera with less than 3 frames a second, which misses short closures."""

    @model_validator(mode="after")
    def _in_order(self) -> FatigueConfig:
        if not self.eyes_closed_notice_s <= self.eyes_closed_warning_s <= self.eyes_closed_alarm_s:
            raise ValueError(
                "eyes_closed_notice_s, eyes_closed_warning_s and eyes_closed_alarm_s must rise in this order"
            )
        if not 0 < self.perclos_notice <= self.perclos_warning:
            raise ValueError("perclos_notice must be above 0 and not above perclos_warning")
        return self


# ---- [gestures] ----


def _no_twins(names: list[GestureName]) -> list[GestureName]:
    return list(dict.fromkeys(names))


class GesturesConfig(Section):
    enabled: Flag = False
    """Recognise gestures of the faces and publish them as events. Not for safety or emergencies: docs/gestures.md."""
    use: Annotated[list[GestureName], Field(min_length=1), AfterValidator(_no_twins)] = Field(
        default_factory=lambda: list(RELIABLE)
    )
    """The gestures that are recognised. Also: "double_blink", "mouth_open", "smile", "brows_up", which people make
    while they talk and laugh too."""
    hold_s: dict[GestureName, Annotated[Number, Field(gt=0, le=10)]] = Field(default_factory=dict)
    """For how long a gesture is held, in seconds, where it differs: {wink_left = 0.4, tilt_right = 1.0}. Not for
    "nod" and "shake"."""
    sensitivity: Annotated[Number, Field(ge=0.5, le=2.0)] = 1.0
    """Movements of head, mouth and brows count this many times as large: above 1 for small movements."""
    cooldown_s: Annotated[Number, Field(ge=0, le=60)] = 1.0
    """After a gesture, none is recognised for this long."""
    wake: Literal["", "look"] | GestureName = ""
    """Gestures count only after this one, or after looking at the camera for a second ("look"). "": always."""
    wake_s: Annotated[Number, Field(ge=1, le=600)] = 8.0
    """For how long they count then; each gesture starts this time again."""

    @model_validator(mode="after")
    def _possible(self) -> GesturesConfig:
        for name, seconds in self.hold_s.items():
            if name in ("nod", "shake"):
                raise ValueError(f'hold_s: "{name}" is a movement and not held: leave it out')
            if (most := MOST_S.get(name)) is not None and seconds >= most:
                raise ValueError(f"hold_s: {name} = {seconds:g} can never be: it ends within {most:g} s")
        return self


# ---- [[alerts]] ----

FATIGUE = "fatigue"
"""Reserved name: the alert that the drowsiness policy raises."""


class Condition(Section):
    """Either `label` with `above` or `below`, or `faces`."""

    label: str | None = None
    """A label of the configured model; its smoothed probability for the main face is compared."""
    above: Fraction | None = None
    """True while the label's probability is above this."""
    below: Fraction | None = None
    """True while it is below this. Without a face a label is neither above nor below."""
    faces: Literal["absent", "present"] | None = None
    """True while no face, or at least one, is visible."""
    gesture: GestureName | None = None
    """True for two seconds after the main face made this gesture; needs gestures.enabled."""

    @model_validator(mode="after")
    def _one_kind(self) -> Condition:
        if problem := _condition_problem(self):
            raise ValueError(problem)
        return self


class AlertConfig(Section):
    name: Annotated[str, Field(min_length=1, max_length=64)]
    """Name for people, such as "sad for long". Each rule needs its own."""
    label: str | None = None
    """A label of the configured model; its smoothed probability for the main face is compared."""
    above: Fraction | None = None
    """True while the label's probability is above this."""
    below: Fraction | None = None
    """True while it is below this. Without a face a label is neither above nor below."""
    faces: Literal["absent", "present"] | None = None
    """True while no face, or at least one, is visible."""
    gesture: GestureName | None = None
    """True for two seconds after the main face made this gesture; needs gestures.enabled."""
    all: list[Condition] = Field(default_factory=list)
    """Instead of one condition: a list, all of which must be true. [{label = "sadness", above = 0.5}, …]"""
    any: list[Condition] = Field(default_factory=list)
    """Instead of one condition: a list, one of which is enough."""
    for_s: Seconds = 5.0
    """The condition must be true for this long before the alert begins. With a gesture: at once, where not set."""
    cooldown_s: Annotated[Number, Field(ge=0, le=86400)] = 60.0
    """After the alert has ended, it cannot begin again for this long."""
    level: Literal["notice", "warning", "alarm"] = "notice"
    """How urgent it is."""
    buzzer: str = SILENT
    """What the buzzer plays: a pattern such as "chirp", "default" for the pattern of the level, or "off"."""
    mqtt: Flag = True
    """Publish it over MQTT."""

    @model_validator(mode="after")
    def _one_form(self) -> AlertConfig:
        single = has_own_condition(self)
        if single + bool(self.all) + bool(self.any) != 1:
            raise ValueError("exactly one of these is needed: label (with above or below), faces, gesture, all, any")
        if single and (problem := _condition_problem(self)):
            raise ValueError(problem)
        if self.gestures and "for_s" in self.model_fields_set and self.for_s > 1:
            raise ValueError("a gesture is a moment: set for_s = 0, or leave it out")
        return self

    @property
    def gestures(self) -> set[str]:
        """The gestures that its conditions name."""
        return {one.gesture for one in self.conditions if one.gesture is not None}

    @property
    def conditions(self) -> Sequence[Condition]:
        """The conditions of the rule as a list; one element where the condition is written in the rule itself."""
        if has_own_condition(self):
            return [
                Condition(label=self.label, above=self.above, below=self.below, faces=self.faces, gesture=self.gesture)
            ]
        return self.all or self.any


def has_own_condition(rule: Condition | AlertConfig) -> bool:
    """Return whether a condition is written in the rule itself, not in `all` or `any`."""
    return any(value is not None for value in (rule.label, rule.above, rule.below, rule.faces, rule.gesture))


def _condition_problem(rule: Condition | AlertConfig) -> str | None:
    bounds = (rule.above is not None) + (rule.below is not None)
    if rule.gesture is not None:
        alone = rule.label is None and not bounds and rule.faces is None
        return None if alone else "gesture stands alone: leave out label, above, below and faces"
    if rule.faces is not None:
        return "faces stands alone: leave out label, above and below" if rule.label is not None or bounds else None
    if rule.label is None:
        return 'label is missing: above and below are limits of a label. Or use faces = "absent"'
    return None if bounds == 1 else "a label needs either above or below"


def _distinct_names(alerts: list[AlertConfig]) -> list[AlertConfig]:
    # Topics contain the slug of a name, so two rules whose names differ only in case or punctuation collide.
    seen = {FATIGUE: FATIGUE}
    for alert in alerts:
        if (other := seen.setdefault(slug(alert.name), alert.name)) != alert.name or alert.name == FATIGUE:
            raise ValueError(f'"{alert.name}" and "{other}" are the same in topics; give each rule its own name')
    if twice := [name for name, times in Counter(alert.name for alert in alerts).items() if times > 1]:
        raise ValueError(f'"{twice[0]}" is used twice; give each rule its own name')
    return alerts


def check_labels(alerts: Sequence[AlertConfig], labels: Sequence[str], model: str) -> None:
    """Check that the model has every label that the rules name.

    Raises:
        ConfigError: one line for each unknown label, with the nearest known one.
    """
    problems = list(_unknown_labels(alerts, labels))
    if problems:
        raise ConfigError("\n".join(f"{text} The model {model} has: {', '.join(labels)}" for text in problems))


def _unknown_labels(alerts: Sequence[AlertConfig], labels: Sequence[str]) -> Iterator[str]:
    for alert in alerts:
        for condition in alert.conditions:
            if condition.label is not None and condition.label not in labels:
                lower = {label.lower(): label for label in labels}
                close = difflib.get_close_matches(condition.label.lower(), lower, n=1, cutoff=0.6)
                hint = f" Did you mean {lower[close[0]]}?" if close else ""
                yield f'alerts: "{alert.name}": unknown label {condition.label}.{hint}'


# ---- [buzzer] ----

Pin = Annotated[Whole, Field(ge=2, le=27)]  # 0 and 1 are for the EEPROM of a HAT
# Checked by `pattern`, whose messages are clearer than those of a union of types.
Beats = list[list[Annotated[Any, WithJsonSchema({"type": ["number", "string"]})]]]


def _playable(patterns: dict[str, Beats]) -> dict[str, Beats]:
    for name, beats in patterns.items():
        if name in (SILENT, LEVELS_OWN):
            raise ValueError(f'"{name}" is a reserved word; give the pattern another name')
        pattern(name, beats)
    return patterns


class BuzzerConfig(Section):
    pin: Pin | None = None
    """GPIO (BCM) number of the buzzer's pin. Not set: no buzzer. 9 to 27 are low while the board starts."""
    kind: Literal["active", "passive"] = "active"
    """"active" sounds by itself when it has power; "passive" needs a tone, and can play melodies."""
    active_high: Flag = True
    """false for a module that sounds while its input is low."""
    tone_hz: Annotated[Number, Field(ge=MIN_HZ, le=MAX_HZ)] = 2048
    """Tone of a passive buzzer for patterns without one. Loudest near its resonance, often 2000 to 4000."""
    notice: str = DEFAULTS["notice"]
    """Pattern of the first level: chirp, double, urgent, continuous, blind, melody, one of yours, or "off"."""
    warning: str = DEFAULTS["warning"]
    """Pattern of the second level, repeated every warning_every_s."""
    alarm: str = DEFAULTS["alarm"]
    """Pattern of the highest level, repeated while the alarm lasts."""
    blind: str = DEFAULTS["blind"]
    """Pattern for "the camera is lost", played when fatigue or an alert with a sound is configured."""
    warning_every_s: Seconds = 10
    """While a warning lasts, repeat its pattern at this interval. 0: without a pause, as for an alarm."""
    blind_every_s: Seconds = 60
    """While a camera is lost, repeat the pattern at this interval."""
    patterns: Annotated[dict[Name, Beats], AfterValidator(_playable)] = Field(default_factory=dict)
    """Your own patterns in [buzzer.patterns]: name = [[seconds on, seconds off], …], with tones
    [[0.2, 0.1, "A5"], [0.3, 1.0, 1760]]. The name of a built-in pattern replaces that pattern."""
    button: Pin | None = None
    """GPIO (BCM) number of a snooze button to ground."""
    snooze_s: Seconds = 300
    """How long the button silences notices, warnings and "the camera is lost"."""
    snooze_silences_alarm: Flag = False
    """Whether a snooze (by button or MQTT) silences the alarm level too."""
    status_led_pin: Pin | None = None
    """GPIO (BCM) number of an LED that is lit while every camera works. With fatigue it winks every 2 s while nobody
    can judge whether the driver sleeps."""
    alert_led_pin: Pin | None = None
    """GPIO (BCM) number of an LED: steady for a notice, blinking for a warning, flashing for an alarm."""

    @property
    def pins(self) -> dict[str, int]:
        """The configured pins by key."""
        keys = ("pin", "button", "status_led_pin", "alert_led_pin")
        return {key: number for key in keys if (number := getattr(self, key)) is not None}

    @property
    def outputs(self) -> list[tuple[int, bool]]:
        """(pin, active_high) of every output pin."""
        return [(number, self.active_high or key != "pin") for key, number in self.pins.items() if key != "button"]

    @property
    def playable(self) -> dict[str, Pattern]:
        """All patterns by name: built-in and the user's own."""
        return {**BUILT_IN, **{name: pattern(name, beats) for name, beats in self.patterns.items()}}

    @property
    def defaults(self) -> dict[Kind, str]:
        """The pattern that each kind of alert plays."""
        return {"notice": self.notice, "blind": self.blind, "warning": self.warning, "alarm": self.alarm}

    @property
    def every_s(self) -> dict[Kind, float]:
        """The repeat interval of each kind, in seconds; a notice does not repeat."""
        return {"alarm": 0.0, "warning": self.warning_every_s, "blind": self.blind_every_s}

    def check_pattern(self, name: str) -> None:
        """Check the `buzzer` of an alert. Raises ValueError when there is no such pattern."""
        known = [*self.playable, SILENT, LEVELS_OWN]
        if name not in known:
            raise ValueError(f'no pattern is called "{name}". There are: {", ".join(known)}')

    def changed(self, **changes: object) -> BuzzerConfig:
        """Return a copy with other values, validated. Raises ConfigError."""
        try:
            return BuzzerConfig.model_validate(self.model_dump() | changes)
        except ValidationError as error:
            raise ConfigError("; ".join(_option_problem(problem) for problem in error.errors())) from None

    @model_validator(mode="after")
    def _consistent(self) -> BuzzerConfig:
        known = [*self.playable, SILENT]
        for kind, name in self.defaults.items():
            if name not in known:
                raise ValueError(f'{kind}: no pattern is called "{name}". There are: {", ".join(known)}')
        for number, times in Counter(self.pins.values()).items():
            if times > 1:
                keys = " and ".join(key for key, pin in self.pins.items() if pin == number)
                raise ValueError(f"{keys} are both on GPIO {number}; each needs its own pin")
        if self.kind == "passive" and not self.active_high:
            raise ValueError('active_high = false does not work with kind = "passive"; wire it as docs/buzzer.md shows')
        return self


def _option_problem(problem: ErrorDetails) -> str:
    message = problem["msg"].removeprefix("Value error, ").replace("Input should", "must")
    return f"{problem['loc'][0]} = {problem['input']}: {message}" if problem["loc"] else message


# ---- [mqtt] ----


def _bare_host(host: str) -> str:
    """Return a host name or address; an IPv6 address without its brackets."""
    address = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    if ":" in address:
        try:
            ipaddress.IPv6Address(address)
        except ValueError:
            if re.fullmatch(r"(\[.*\]|[^:@/]+):\d+", host):
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
    servers = [_server(text) for text in texts]
    if len(set(servers)) < len(servers):
        raise ValueError("one of them is listed twice")
    return texts


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
    username: str | None = None
    """User name at the broker. Without it and username_file: the systemd credential `mqtt.username`, if present."""
    username_file: File | None = None
    """File whose first line is the user name, instead of `username`."""
    password_file: File | None = None
    """File whose first line is the password. Not set: the systemd credential `mqtt.password`, if present."""
    hosts: Annotated[list[str], AfterValidator(_servers), Field(max_length=16)] = Field(default_factory=list)
    """More brokers that serve the same clients, such as the nodes of a cluster: "name" or "name:port". They are tried
    in this order, after `host` if that is set; ferd returns to the first one after 5 to 15 minutes."""
    hosts_order: Literal["given", "random"] = "given"
    """"random": each ferd takes another order, which spreads a fleet over the nodes of a cluster."""
    transport: Literal["tcp", "websockets"] = "tcp"
    """"websockets" for a broker that is reached through a web server or proxy."""
    websocket_path: Annotated[str, AfterValidator(_url_path)] = "/mqtt"
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
    discovery_prefix: Annotated[str, Field(pattern=r"^[^#+\s]+$"), AfterValidator(_topic_prefix)] = "homeassistant"
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

    @property
    def servers(self) -> tuple[tuple[str, int], ...]:
        """Host and port of each broker in the order of preference: `host`, unless only `hosts` is set, and `hosts`."""
        more = [(host, port or self.port) for host, port in map(_server, self.hosts)]
        first = [(self.host, self.port)] if "host" in self.model_fields_set or not more else []
        return tuple(dict.fromkeys([*first, *more]))

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


# ---- [web] ----


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
    token_file: File | None = None
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


# ---- the whole ----


class Config(Section):
    """The whole configuration. Defaults work without a file."""

    node: NodeConfig = Field(default_factory=NodeConfig)
    cameras: Annotated[dict[CameraName, CameraConfig], Field(min_length=1, max_length=8)] = Field(
        default_factory=lambda: {"camera": CameraConfig()}
    )
    detector: DetectorConfig = Field(default_factory=DetectorConfig)
    expression: ExpressionConfig = Field(default_factory=ExpressionConfig)
    smoothing: SmoothingConfig = Field(default_factory=SmoothingConfig)
    fatigue: FatigueConfig = Field(default_factory=FatigueConfig)
    gestures: GesturesConfig = Field(default_factory=GesturesConfig)
    alerts: Annotated[list[AlertConfig], AfterValidator(_distinct_names), Field(max_length=32)] = Field(
        default_factory=list
    )
    buzzer: BuzzerConfig = Field(default_factory=BuzzerConfig)
    mqtt: MqttConfig = Field(default_factory=MqttConfig)
    web: WebConfig = Field(default_factory=WebConfig)

    @model_validator(mode="after")
    def _gestures_are_recognised(self) -> Config:
        for alert in self.alerts:
            for name in sorted(alert.gestures):
                if not self.gestures.enabled:
                    raise ValueError(f'alerts: "{alert.name}": needs gestures: set enabled = true in [gestures]')
                if name not in self.gestures.use:
                    raise ValueError(f'alerts: "{alert.name}": {name} is not recognised: add it to use in [gestures]')
        return self

    @model_validator(mode="after")
    def _browsers_can_send(self) -> Config:
        senders: dict[str, str] = {}
        for name, camera in self.cameras.items():
            if not is_browser(camera.source):
                continue
            if not self.web.enabled:
                raise ValueError(
                    f'cameras.{name}.source = "{camera.source}" needs the page: set enabled = true in [web]'
                )
            if (other := senders.setdefault(camera.source, name)) != name:
                raise ValueError(
                    f'cameras.{name}.source = "{camera.source}" is that of camera {other}, and one browser sends for '
                    f'one camera: write "browser:{len(senders) + 1}"'
                )
        return self

    @model_validator(mode="after")
    def _fast_enough(self) -> Config:
        if not self.fatigue.enabled or self.fatigue.allow_low_fps:
            return self
        for name, camera in self.cameras.items():
            if camera.fps < LEAST_FPS:
                raise ValueError(
                    f"cameras.{name}.fps = {camera.fps:g} is too low for fatigue.enabled: closed eyes are judged from "
                    f"{LEAST_FPS:g} frames a second on. Raise fps (15 is better), switch fatigue off, or set "
                    "fatigue.allow_low_fps = true to accept the report too_few_frames"
                )
        return self

    @model_validator(mode="after")
    def _patterns_exist(self) -> Config:
        for alert in self.alerts:
            try:
                self.buzzer.check_pattern(alert.buzzer)
            except ValueError as error:
                raise ValueError(f'alerts: "{alert.name}": {error}') from None
        return self
