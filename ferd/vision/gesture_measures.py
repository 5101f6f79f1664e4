"""Measure what gestures are made of: lids, mouth, brows and pose of a face with landmarks."""

from __future__ import annotations

import numpy as np

from ferd.policy.gesture_face import FaceMeasures, mirrored
from ferd.types import EyeMouthState, FaceReading
from ferd.vision.landmarks import LEFT_EYE, MOUTH_LEFT, MOUTH_RIGHT, RIGHT_EYE, eye_distance, index

# From the middle of the eye's corners: its lids move.
BROWS = (index("right_brow_middle"), RIGHT_EYE), (index("left_brow_middle"), LEFT_EYE)


def measures_of(face: FaceReading, *, mirror: bool = False) -> FaceMeasures:
    """Return the measures of a face that was seen in this frame.

    Each eye is read by the eyes model: the landmarks of the two lids follow each other, and one eye's alone say little.

    Args:
        mirror: the picture was mirrored, so that the subject's right eye looks like the left one.
    """
    eyes, reading = face.signals or EyeMouthState(), face.track.face.landmarks
    if reading is None:
        return FaceMeasures()
    points, unit = reading.points, max(eye_distance(reading.points, reading.yaw), 1.0)
    raised = [float(np.hypot(*(points[brow] - (points[eye][0] + points[eye][4]) / 2))) for brow, eye in BROWS]
    measures = FaceMeasures(
        right_closed=eyes.right_closed,
        left_closed=eyes.left_closed,
        mouth=reading.mouth_aperture,
        width=float(np.hypot(*(points[MOUTH_LEFT] - points[MOUTH_RIGHT]))) / unit,
        brows=sum(raised) / len(raised) / unit,
        yaw=reading.yaw,
        pitch=reading.pitch,
        roll=reading.roll,
    )
    return mirrored(measures) if mirror else measures
