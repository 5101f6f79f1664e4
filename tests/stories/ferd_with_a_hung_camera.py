"""ferd on a Pi whose camera hangs in a call after some pictures; a hang counts as permanent after 1 s, not 60.

The first argument names a file: once it exists the camera works, as it does for a new process on a real Pi.
"""

import sys
import time
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).parent.parent / "unit/sources"))
import picamera2_stand_in as stand_in

import ferd.restart_history
from ferd.__main__ import main

well = Path(sys.argv.pop(1)).exists()
PICTURES = 5


class Camera(stand_in.Picamera2):
    def capture_request(self, wait=None):
        time.sleep(0.05)
        self.pictures = getattr(self, "pictures", 0) + 1
        type(self).main = stand_in.np.random.default_rng(self.pictures).integers(0, 255, (720, 640), "uint8")  # YUV420
        if self.pictures > PICTURES and not well:
            type(self).trouble = "capture hangs"
        return super().capture_request(wait)


stand_in.Picamera2 = Camera
sys.modules["picamera2"] = stand_in
sys.modules["libcamera"] = SimpleNamespace(ColorSpace=SimpleNamespace(Sycc=lambda: "sYCC"))
ferd.restart_history.HUNG_FOR_GOOD_S = 1.0
sys.exit(main())
