"""A ferd whose pipeline hangs while there is a file "hang" beside its configuration."""

import os
import sys
import time
from pathlib import Path

from ferd.__main__ import main
from ferd.vision.pipeline import Pipeline

HANG = Path(os.environ["RUNTIME_DIRECTORY"]) / "hang"


def step(self, frame, original=Pipeline.step):
    while HANG.exists():
        time.sleep(0.05)
    return original(self, frame)


Pipeline.step = step
sys.exit(main())
