"""What `systemctl status` shows."""

from ferd.outputs.status import StatusLine
from ferd.snapshot import Counters


class Camera:
    def __init__(self, status="online", frames=0):
        self.status, self.frames = status, frames

    def counters(self):
        return Counters(self.frames)


def test_rates_are_counted_from_line_to_line(tmp_path):
    desk, door = Camera(), Camera("offline")
    line = StatusLine(tmp_path)
    cameras = {"desk": desk, "door": door}
    first = line(cameras, connected=False, slowed=False, now=100.0)
    assert first == "desk=online door=offline broker=away"
    desk.frames = 149
    later = line(cameras, connected=True, slowed=False, now=110.0)
    assert later == "desk=online fps=14.9 door=offline broker=connected"
    new = line({"hall": Camera(frames=5)}, connected=True, slowed=False, now=120.0)
    assert new == "hall=online broker=connected", "a new camera has no rate yet"


def test_the_boards_heat(tmp_path):
    zone = tmp_path / "thermal_zone0"
    zone.mkdir()
    (zone / "type").write_text("cpu-thermal\n")
    (zone / "temp").write_text("61800\n")
    line = StatusLine(tmp_path)
    assert line({}, connected=True, slowed=True, now=1.0) == "broker=connected temperature_c=62 slowed=board"
