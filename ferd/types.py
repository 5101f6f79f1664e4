"""Define the value types that join the steps of the pipeline.

Times are in seconds. ``t`` is the source's own time line (monotonic for a camera, position for a file), never
the wall clock. Sizes and positions are in pixels of the source picture. All types are frozen: a step makes a
new value and does not change its input.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


class Box(NamedTuple):
    """An axis-parallel rectangle: left, top, width, height in pixels."""

    x: float
    y: float
    w: float
    h: float

    @property
    def area(self) -> float:
        return self.w * self.h

    @property
    def centre(self) -> tuple[float, float]:
        return self.x + self.w / 2, self.y + self.h / 2

    def overlap(self, other: Box) -> float:
        """Intersection over union, 0 to 1."""
        w = min(self.x + self.w, other.x + other.w) - max(self.x, other.x)
        h = min(self.y + self.h, other.y + other.h) - max(self.y, other.y)
        if w <= 0 or h <= 0:
            return 0.0
        both = w * h
        return both / (self.area + other.area - both)


class Landmarks(NamedTuple):
    """Five landmarks, each (x, y) in pixels. Right and left are the subject's own, as in YuNet."""

    right_eye: tuple[float, float]
    left_eye: tuple[float, float]
    nose: tuple[float, float]
    mouth_right: tuple[float, float]
    mouth_left: tuple[float, float]


class Deferred:
    """An image that is made when it is first needed, and then kept.

    `shape`: its height and width, known before it is made. `make` may be called by any thread, and in a race twice.
    """

    __slots__ = ("_image", "_make", "shape")

    def __init__(self, shape: tuple[int, int], make: Callable[[], Image]) -> None:
        self.shape = shape
        self._make: Callable[[], Image] | None = make
        self._image: Image | None = None

    @property
    def made(self) -> bool:
        """Whether the image exists already."""
        return self._image is not None

    def get(self) -> Image:
        """Return the image. Raises what `make` raises."""
        image, make = self._image, self._make
        if image is None:
            assert make is not None
            image = self._image = make()
            self._make = None  # it may hold what the image was made from
        return image


class _ImageField:
    """A field of a Frame that holds an image or a Deferred, and always gives the image."""

    def __set_name__(self, _owner: type, name: str) -> None:
        self._name = f"_{name}"

    @overload
    def __get__(self, frame: None, owner: type) -> None: ...
    @overload
    def __get__(self, frame: Frame, owner: type) -> Image: ...
    def __get__(self, frame: Frame | None, owner: type) -> Image | None:
        if frame is None:
            raise AttributeError("has no default")
        value = frame.__dict__[self._name]
        return value.get() if isinstance(value, Deferred) else value

    def __set__(self, frame: Frame, value: Image | Deferred) -> None:
        frame.__dict__[self._name] = value


class _OptionalImageField:
    """The same for an image that a frame need not have: None where it has none."""

    def __set_name__(self, _owner: type, name: str) -> None:
        self._name = f"_{name}"

    def __get__(self, frame: Frame | None, owner: type) -> Image | None:
        value = None if frame is None else frame.__dict__[self._name]
        return value.get() if isinstance(value, Deferred) else value

    def __set__(self, frame: Frame, value: Image | Deferred | None) -> None:
        frame.__dict__[self._name] = value


@dataclass(frozen=True, eq=False, repr=False)
class Frame:
    """Hold one picture of a source. Its images may be given as Deferred: they are decoded when they are first read.

    ``image``: (H, W, 3) uint8 BGR, or (H, W) uint8 gray. ``small``: the same view in gray at a lower resolution,
    where that costs less than ``image`` (picamera2's low-resolution stream, a JPEG decoded at a smaller scale); None
    elsewhere. ``jpeg``: the picture as the camera sent it, where that was a JPEG of just this view. ``captured_at``:
    monotonic seconds (``time.monotonic``) at which the driver captured the image or, where it does not say, the read
    returned; None for recordings. ``gray``: ``image`` in gray where the source has it at a lower cost than by
    conversion (a luma plane, a JPEG); None elsewhere. ``encoded``: the bytes that the camera sent for this picture,
    also of a view that was turned since.
    """

    t: float
    image: _ImageField = _ImageField()
    small: _OptionalImageField = _OptionalImageField()
    jpeg: bytes | None = None
    captured_at: float | None = None
    gray: _OptionalImageField = _OptionalImageField()
    encoded: bytes | None = None

    def __repr__(self) -> str:
        return f"Frame(t={self.t}, {self.width}x{self.height})"

    @property
    def width(self) -> int:
        return int(self._stored("image").shape[1])

    @property
    def height(self) -> int:
        return int(self._stored("image").shape[0])

    @property
    def luma(self) -> Image:
        """The picture in gray where the source has it in gray, else as it is: what costs least to get."""
        gray = self.gray
        return self.image if gray is None else gray

    def as_gray(self) -> Frame | None:
        """Return this frame with a gray `image`, decoded when it is read. None where it has to be converted."""
        image, gray = self._stored("image"), self._stored("gray")
        if gray is None:
            return self if isinstance(image, np.ndarray) and image.ndim == 2 else None
        return Frame(self.t, gray, self._stored("small"), captured_at=self.captured_at, encoded=self.encoded)

    def captured(self, at: float) -> Frame:
        """Return this frame with another ``captured_at``, without decoding it."""
        images = self._stored("image"), self._stored("small"), self._stored("gray")
        return Frame(self.t, images[0], images[1], self.jpeg, at, images[2], self.encoded)

    def transformed(self, change: Callable[[Image], Image], size: Callable[[int, int], tuple[int, int]]) -> Frame:
        """Return this frame with changed images, each changed when it is read.

        Args:
            change: makes the new image of an old one.
            size: makes the new (height, width) of the old ones.
        """

        def later(value: Any) -> Any:
            if value is None:
                return None
            make = value.get if isinstance(value, Deferred) else lambda: value
            return Deferred(size(*value.shape[:2]), lambda: change(make()))

        images = (later(self._stored(name)) for name in ("image", "small", "gray"))
        image, small, gray = images
        return Frame(self.t, image, small, None, self.captured_at, gray, self.encoded)

    def _stored(self, name: str) -> Any:
        """The image or Deferred of a field, without decoding it."""
        return self.__dict__[f"_{name}"]


@dataclass(frozen=True, slots=True)
class LandmarkReading:
    """What the landmarks model reads from one face.

    ``points``: (40, 2) float32 in pixels of the picture, named in ferd/vision/landmarks.py. ``presence``: probability
    that the crop shows a face. ``yaw``, ``pitch``, ``roll``: degrees. ``right_aperture``, ``left_aperture``: distance
    of the lids, ``mouth_aperture``: distance of the inner lips, in units of the eye distance that this head would have
    if it faced the camera.
    """

    points: NDArray[np.float32]
    presence: float
    yaw: float
    pitch: float
    roll: float
    right_aperture: float
    left_aperture: float
    mouth_aperture: float


@dataclass(frozen=True, slots=True)
class Face:
    """A face found in one frame.

    ``score``: the detector's own confidence, 0 to 1 (1 where it has none). ``landmarks``: None where no landmarks model
    is used or the face could not be read.
    """

    box: Box
    points: Landmarks | None = None
    score: float = 1.0
    landmarks: LandmarkReading | None = None


@dataclass(frozen=True, slots=True)
class Track:
    """A face followed over time. ``id`` counts up from 1 and is never used twice in a run."""

    id: int
    face: Face
    born: float
    seen: float


EyesHidden = Literal["no_landmarks", "too_small", "outside", "no_face", "turned", "covered"]
"""Why eyes could not be read: the detector gave no landmarks; the face is too small; the eyes lie outside the picture;
the crop shows no face; the head is turned too far; lenses, a hand, hair, glare or darkness hide them."""


@dataclass(frozen=True, slots=True)
class EyeMouthState:
    """Describe eyes, mouth and head of one face in one frame. None: cannot be seen or is not measured.

    ``eyes_closed``: 0 open to 1 closed. ``mouth_open``: 0 closed to 1 wide open. ``head_pitch``: how far the nose
    stands below the middle of the eyes, in eye distances: it grows while the head sinks. The others need the landmarks
    model: ``yaw``, ``pitch``, ``roll`` in degrees (LandmarkReading says which way they grow), ``lids`` and ``mouth``
    the apertures in eye distances. ``hidden``: why ``eyes_closed`` is None. ``right_closed``, ``left_closed``: each
    eye alone, the subject's own.
    """

    eyes_closed: float | None = None
    mouth_open: float | None = None
    head_pitch: float | None = None
    yaw: float | None = None
    pitch: float | None = None
    roll: float | None = None
    lids: float | None = None
    mouth: float | None = None
    hidden: EyesHidden | None = None
    right_closed: float | None = None
    left_closed: float | None = None


class MouthShape(NamedTuple):
    """Opening and width of a mouth in eye distances: of the inner lips, and from corner to corner."""

    opening: float
    width: float


@dataclass(frozen=True, slots=True)
class FaceReading:
    """Describe one tracked face in one frame.

    ``scores``: calibrated probabilities of this frame by label; empty where the face was not seen or not read: among
    many faces all but the main one are read in turn. ``smooth``: the same after the time filter.
    ``expression``: the label that is held (None while none is). ``since``: when it was first published.
    ``signals``: None where no policy needs them, or in such a frame. ``mouth``: None where
    no landmarks were read. ``evidence``: per label, the share of the evidence that it needs to replace the held one.
    """

    track: Track
    scores: dict[str, float]
    smooth: dict[str, float]
    expression: str | None
    confidence: float | None
    since: float
    signals: EyeMouthState | None = None
    evidence: dict[str, float] = field(default_factory=dict)
    mouth: MouthShape | None = None


Level = Literal["none", "notice", "warning", "alarm"]
LEVELS: tuple[Level, ...] = ("none", "notice", "warning", "alarm")
"""How urgent an alert is, from least to most."""
LEVELS_OWN = "default"
"""In place of a pattern's name: the pattern that [buzzer] configures for the level (`notice`, `warning`, `alarm`)."""


Unjudged = Literal[
    "too_few_frames",
    "not_seen",
    "eyes_not_seen",
    "turned_away",
    "no_blinks",
    "frozen",
    "camera_lost",
    "loop_stopped",
]
"""Why nobody can say now whether the driver sleeps: fewer frames than the rules need; no face; a face whose eyes cannot
be seen; a head turned out of sight; eyes that never blink (a photograph, a picture that stands still); the camera
repeats its pictures; the camera delivers none; the daemon itself does not get on."""


@dataclass(frozen=True, slots=True)
class Fatigue:
    """Describe how tired the main face is. ``awareness``: 1 wide awake to 0.

    ``perclos``: share of the observed part of the last 60 s with eyes at least 80 % closed; ``observed``: how much
    of these 60 s was observed, 0 to 1. ``blinks``: a minute. ``blink_s``: mean length. ``longest_s``: the longest
    closure of the window. ``yawns``, ``nods``: in the last 5 minutes. None: too little was observed. ``unjudged``: why
    closed eyes could not be noticed now; None while they would be. ``attention``: 1 looking ahead to 0 after the
    configured time away from the road; None while it is off or the driver's straight-ahead is not known.
    """

    awareness: float
    level: Level
    reason: str | None
    perclos: float | None
    observed: float
    blinks: float | None
    blink_s: float | None
    longest_s: float
    yawns: int
    nods: int = 0
    unjudged: Unjudged | None = None
    attention: float | None = None

    @property
    def judged(self) -> bool:
        """Whether closed eyes would raise a level now."""
        return self.unjudged is None


@dataclass(frozen=True, slots=True)
class Alert:
    """Describe an alert that holds now.

    ``name``: "fatigue" or the rule's. ``reason``: "eyes_closed", "perclos", "nodding", "distracted" or one of Unjudged;
    of a rule the label that held, "faces_absent" or "faces_present". ``since``: the source's time at which this level
    began. ``pattern``: what the buzzer plays, LEVELS_OWN for the pattern of the level, None for silence.
    ``awareness``: of fatigue only. ``mqtt``: it is published on MQTT. ``repeat_s``: seconds after which a notice, which
    is otherwise played once, is played again while it lasts.
    """

    name: str
    level: Level
    reason: str
    since: float
    pattern: str | None = None
    awareness: float | None = None
    mqtt: bool = True
    repeat_s: float | None = None


@dataclass(frozen=True, slots=True)
class Gesture:
    """A gesture that a face made. ``t``: the source's time of the frame that completed it."""

    name: str
    track: int
    t: float


@dataclass(frozen=True, slots=True)
class Reading:
    """Describe one frame of one camera: all tracked faces, and which of them is the main one (a track id).

    ``fatigue``: None where it is off. ``alerts``: all that hold now, the worst first. ``gestures``: those of the last
    two seconds, the oldest first; those of this frame have its ``t``. ``strengths``: how strong the movements of each
    gesture are in this frame, by track and gesture, in the units of policy/gesture_rules.py THRESHOLDS.
    """

    t: float
    faces: tuple[FaceReading, ...] = field(default=())
    main: int | None = None
    fatigue: Fatigue | None = None
    alerts: tuple[Alert, ...] = ()
    gestures: tuple[Gesture, ...] = ()
    strengths: Mapping[int, Mapping[str, float]] = field(default_factory=dict)

    @property
    def main_face(self) -> FaceReading | None:
        return next((face for face in self.faces if face.track.id == self.main), None)
