"""What is sent to the browser for one frame."""

import numpy as np

from ferd.config import Config
from ferd.outputs.web.serialise import reading_json
from ferd.types import Frame, Gesture, Reading
from ferd.vision.rules import smoothing_rules


def test_gestures_are_told_with_their_face_and_time():
    reading = Reading(3.0, gestures=(Gesture("nod", 7, 2.5), Gesture("wink_left", 7, 3.0)))
    told = reading_json(Frame(3.0, np.zeros((48, 64), np.uint8)), reading, smoothing_rules(Config()), {})
    assert told["gestures"] == [{"name": "nod", "face": 7, "t": 2.5}, {"name": "wink_left", "face": 7, "t": 3.0}]
