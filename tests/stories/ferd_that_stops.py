"""ferd as a real process whose main loop stops while the file that $STOP_FILE names exists, as a hung model would."""

import os
import sys
import time
from pathlib import Path

from ferd.__main__ import main
from ferd.vision.pipeline import Pipeline


def step(self, frame, original=Pipeline.step):
    while Path(os.environ["STOP_FILE"]).exists():
        time.sleep(0.05)
    return original(self, frame)


Pipeline.step = step
sys.exit(main())
