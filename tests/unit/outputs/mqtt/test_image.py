"""Which pictures are published, and how large they are."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
from output_snapshots import camera
from readings import face, reading

from ferd.outputs.mqtt.image import EVERY_S, MAX_BYTES, MAX_WIDTH, ImageSchedule, crop_of, picture
from ferd.payloads import State
from ferd.pictures import decode_jpeg
from ferd.snapshot import CameraSnapshot
from ferd.types import Box, Face, Frame, Image

NOISE = np.random.default_rng(7).integers(0, 256, (1080, 1920, 3), np.uint8)


def seen(
    expression: str | None, faces: int = 1, *, status: str = "online", image: Image | None = None
) -> CameraSnapshot:
    found = [face(expression=expression)] if faces else []
    return replace(
        camera(),
        status=status,
        frame=Frame(0.0, np.full((240, 320, 3), 90, np.uint8) if image is None else image),
        reading=reading(0.0, *found),
        state=State(expression, 0.8 if expression else None, faces, 0.0, 1),
    )


def shape(jpeg: bytes | None) -> tuple[int, int]:
    assert jpeg is not None
    assert len(jpeg) <= MAX_BYTES
    height, width = decode_jpeg(jpeg, gray=False).shape[:2]
    return height, width


def run(*steps: tuple[float, CameraSnapshot]) -> list[float]:
    """When a picture was made."""
    schedule, made = ImageSchedule(), []
    for now, one in steps:
        if schedule.is_due(one, now):
            schedule.sent(one, now)
            made.append(now)
    return made


def test_a_picture_is_made_when_the_expression_changes_and_only_then():
    happy, sad = seen("happiness"), seen("sadness")
    assert run((0, happy), (1, happy), (20, happy), (21, sad), (60, sad)) == [0, 21]


def test_a_change_during_the_pause_is_shown_at_its_end():
    happy, sad = seen("happiness"), seen("sadness")
    assert run((0, happy), (1, sad), (4.9, sad), (EVERY_S, sad), (EVERY_S + 0.1, sad)) == [0, EVERY_S]
    assert run((0, happy), (1, sad), (2, happy), (9, happy)) == [0], "it is back: nothing differs any more"


def test_a_lively_face_makes_at_most_one_picture_in_five_seconds():
    steps = [(n * 0.1, seen("happiness" if n % 2 else "sadness")) for n in range(600)]
    made = run(*steps)
    assert len(made) <= 60 / EVERY_S
    assert all(b - a >= EVERY_S for a, b in itertools.pairwise(made))


def test_without_an_expression_and_without_a_camera_there_is_none():
    assert run((0, seen(None)), (9, seen(None, 0)), (20, seen("happiness", status="offline")), (30, camera())) == []


def test_the_next_person_is_shown_also_with_the_same_expression():
    happy = seen("happiness")
    assert run((0, happy), (9, seen(None)), (10, happy), (19, seen(None, 0)), (20, happy)) == [0, 20]


def test_a_face_is_cut_out_with_a_margin_and_scaled_down():
    assert shape(picture(seen("happiness"), "face")) == (110, 110)  # 80 pixels at (10, 10), 10 and 20 more
    large = seen("happiness", image=NOISE)
    assert large.reading is not None
    (one,) = large.reading.faces
    wide = replace(one, track=replace(one.track, face=Face(Box(100, 100, 800, 800))))
    assert shape(picture(replace(large, reading=reading(0.0, wide)), "face"))[1] == MAX_WIDTH["face"]


def test_the_frame_is_scaled_down():
    smooth = np.full((1080, 1920, 3), 90, np.uint8)
    assert shape(picture(seen("happiness", image=smooth), "frame")) == (360, 640)


def test_a_small_jpeg_of_the_camera_is_sent_as_it_is_and_a_large_one_is_not():
    one = seen("happiness")
    image = np.full((240, 320, 3), 90, np.uint8)
    assert picture(replace(one, frame=Frame(0.0, image, jpeg=b"\xff\xd8 of the camera")), "frame") == (
        b"\xff\xd8 of the camera"
    )
    large = picture(replace(one, frame=Frame(0.0, image, jpeg=b"x" * (MAX_BYTES + 1))), "frame")
    assert shape(large) == (240, 320)


def test_no_picture_is_larger_than_allowed():
    """Noise is the worst that a JPEG can be made of."""
    made = picture(seen("happiness", image=NOISE[:640, :640]), "frame")
    assert made is None or len(made) <= MAX_BYTES


def test_without_a_face_a_frame_or_a_reading_there_is_nothing_to_show():
    nobody = seen(None, 0)
    assert picture(nobody, "face") is None
    assert picture(replace(nobody, frame=None), "frame") is None
    assert picture(replace(nobody, reading=None), "frame") is None


def test_a_face_outside_of_the_picture_is_none():
    frame = Frame(0.0, np.zeros((240, 320, 3), np.uint8))
    assert crop_of(frame, Box(400, 10, 50, 50)) is None
    assert crop_of(frame, Box(-100, -100, 50, 50)) is None
    half = crop_of(frame, Box(-40, -40, 80, 80))
    assert half is not None
    assert half.shape[:2] == (60, 60)


def test_a_gray_camera_is_shown_too():
    assert shape(picture(seen("happiness", image=np.full((240, 320), 90, np.uint8)), "face")) == (110, 110)
