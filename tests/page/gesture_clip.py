"""Write a video of the drawn person, who tilts her head to her left every six seconds.

Usage: python gesture_clip.py OUT.avi
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import cv2

sys.path.insert(0, str(Path(__file__).parents[1]))
from drawn_gestures import Made, frames

FPS, LOOP_S = 15, 6


def main(out: str) -> None:
    writer = cv2.VideoWriter(out, cv2.VideoWriter.fourcc(*"MJPG"), FPS, (640, 480))
    made = [Made("tilt_left", 2.5, 3.6), Made("tilt_left", 60.0, 61.1)]
    for frame in itertools.islice(frames(made, FPS), FPS * LOOP_S):
        writer.write(frame.image)
    writer.release()


if __name__ == "__main__":
    main(sys.argv[1])
