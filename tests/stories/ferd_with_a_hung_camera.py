"""A ferd on a Pi whose camera hangs in a call after some pictures; it is given up for good after a second, not sixty.

The first argument names a file: once it is there the camera is well, as it is for a new process on a real Pi.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "unit/sources"))
import picamera2_stand_in as stand_in

import ferd.restart_history
from ferd.cli.main import main

well = Path(sys.argv.pop(1)).exists()
PICTURES = 5


class Camera(stand_in.Picamera2):
    def capture_request(self, wait=None):
        time.sleep(0.05)
        self.pictures = getattr(self, "pictures", 0) + 1
        type(self).main = stand_in.np.random.default_rng(self.pictures).integers(0, 255, (480, 640, 3), "uint8")
        if self.pictures > PICTURES and not well:
            type(self).trouble = "capture hangs"
        return super().capture_request(wait)


stand_in.Picamera2 = Camera
sys.modules["picamera2"] = stand_in
ferd.restart_history.HANGS_S = 1.0
sys.exit(main())
