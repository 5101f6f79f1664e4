"""Run the real pipeline over the demo scene, and draw what it reads and publishes: a short animation and a still."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from ferd.config import CameraConfig, Config
from ferd.event_builder import EventBuilder
from ferd.replay import frames
from ferd.sources.factory import open_source
from ferd.types import Frame, Reading
from ferd.vision.loader import Models
from ferd.vision.pipeline import Pipeline

FPS = 15
EVERY = 4  # of these frames one is drawn
FIRST_S, LAST_S, STILL_S = 2.0, 25.0, 6.5
SCENE = (560, 420)
SIZE = (1080, 556)
MARGIN = 20
PAPER, INK, DIM, ACCENT = "#10151c", "#e8edf2", "#7d8a99", "#ffc24b"
LABELS = ("happiness", "surprise", "sadness", "neutral", "anger", "fear", "disgust")
LINES = 4
QUALITY = 50


@dataclass
class Moment:
    """A frame, what was read in it, and the messages that were published up to it."""

    frame: Frame
    reading: Reading
    messages: tuple[str, ...]


def main(animation: Path, still: Path) -> None:
    """Draw both files."""
    moments = list(played())
    pictures = [drawn(one) for one in moments[::EVERY] if FIRST_S <= one.frame.t < LAST_S]
    pictures[0].save(
        animation, save_all=True, append_images=pictures[1:], duration=1000 * EVERY // FPS, loop=0, quality=QUALITY
    )
    drawn(next(one for one in moments if one.frame.t >= STILL_S)).save(still, optimize=True)
    for file in (animation, still):
        print(f"{file}: {file.stat().st_size / 1000:.0f} KB")


def played() -> Iterator[Moment]:
    """The scene through the whole chain, with the messages as MQTT carries them."""
    config, camera = Config(), CameraConfig(source="demo", fps=FPS)
    pipeline, builder = Pipeline.of(Models(config), config, camera), EventBuilder("hall-pi", "camera")
    source = open_source(camera, live=False)
    source.open()
    messages: tuple[str, ...] = ()
    state = None
    for frame in frames(source):
        reading = pipeline.step(frame)
        published = builder.update(reading, frame.t)
        new = []
        if published.state != state and (state := published.state):
            new.append(message("state", expression=state.expression, confidence=state.confidence, faces=state.faces))
        for event in published.events:
            told = event.to_dict()
            kept = {key: told.get(key) for key in ("event_type", "from", "to", "track")}
            new.append(message("event", **{key: value for key, value in kept.items() if value is not None}))
        messages = (*messages, *new)[-LINES:]
        yield Moment(frame, reading, messages)


def message(topic: str, **values: object) -> str:
    """A message as a line."""
    texts = (f'"{key}":{text(value)}' for key, value in values.items())
    return f"ferd/hall-pi/camera/{topic}  {{{','.join(texts)}}}"


def text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}"
    return "null" if value is None else f'"{value}"' if isinstance(value, str) else str(value)


def font(size: int, *, mono: bool = False, bold: bool = False) -> ImageFont.FreeTypeFont:
    family = "DejaVu Sans Mono" if mono else "DejaVu Sans"
    found = font_manager.findfont(font_manager.FontProperties(family=family, weight="bold" if bold else "normal"))
    return ImageFont.truetype(found, size)


def drawn(moment: Moment) -> Image.Image:
    picture = Image.new("RGB", SIZE, PAPER)
    draw = ImageDraw.Draw(picture)
    quiet = cv2.medianBlur(moment.frame.image, 3)  # the scene's sensor noise would fill the file
    scene = Image.fromarray(cv2.cvtColor(cv2.resize(quiet, SCENE, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB))
    face = moment.reading.main_face
    if face is not None:
        _face(ImageDraw.Draw(scene), moment, SCENE[0] / moment.frame.width)
    picture.paste(scene, (MARGIN, MARGIN))
    left = SCENE[0] + 2 * MARGIN
    title = "nobody" if face is None else face.expression or "not sure"
    draw.text((left, MARGIN - 4), title, ACCENT if face else DIM, font(44, bold=True))
    _bars(draw, moment, left, MARGIN + 72, SIZE[0] - MARGIN)
    top = SCENE[1] + 2 * MARGIN - 6
    for number, line in enumerate(moment.messages):
        newest = number == len(moment.messages) - 1
        draw.text((MARGIN, top + 23 * number), line, INK if newest else DIM, font(16, mono=True))
    return picture


def _face(draw: ImageDraw.ImageDraw, moment: Moment, scale: float) -> None:
    face = moment.reading.main_face
    assert face is not None
    x, y, w, h = (value * scale for value in face.track.face.box)
    draw.rounded_rectangle((x, y, x + w, y + h), 8, outline=ACCENT, width=3)
    landmarks = face.track.face.landmarks
    for px, py in landmarks.points * scale if landmarks is not None else ():
        draw.ellipse((px - 1.5, py - 1.5, px + 1.5, py + 1.5), fill=INK)


def _bars(draw: ImageDraw.ImageDraw, moment: Moment, left: int, top: int, right: int) -> None:
    face = moment.reading.main_face
    for row, label in enumerate(LABELS):
        y = top + 50 * row
        share = face.smooth.get(label, 0.0) if face else 0.0
        held = face is not None and face.expression == label
        draw.text((left, y), label, INK if held else DIM, font(20))
        begin = left + 130
        draw.rounded_rectangle((begin, y + 2, right, y + 24), 5, fill="#1d2632")
        if share > 0.02:
            end = begin + (right - begin) * share
            draw.rounded_rectangle((begin, y + 2, end, y + 24), 5, fill=ACCENT if held else "#4d6a8c")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
