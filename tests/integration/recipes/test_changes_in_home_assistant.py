"""What a user changes at ferd while a real Home Assistant listens: entities come, go and stay as they should."""

from __future__ import annotations

import signal
import time

import pytest
from brokers import wait_for
from ferd_process import ferd
from hass import HASS, home_assistant

pytestmark = pytest.mark.skipif(HASS is None, reason="needs Home Assistant: ./scripts/test-recipes")
CHANGE_S = 60
"""So long may a reload and what follows of it take: entities that were removed come back 3 to 8 s later."""
SETTLED_S = 10
"""After so long all is said that a change brings with it: what should stay is looked at then."""
TIRED = """
[fatigue]
enabled = true
[[alerts]]
name = "Somebody smiled"
label = "happiness"
above = 0.6
"""
OF_FATIGUE = {
    "binary_sensor.hall_pi_camera_fatigue",
    "sensor.hall_pi_camera_drowsiness",
    "sensor.hall_pi_camera_eye_closure",
    "sensor.hall_pi_camera_driver_watch",
    "binary_sensor.hall_pi_camera_somebody_smiled",
}


@pytest.fixture(scope="module")
def house(tmp_path_factory, broker):
    with home_assistant(tmp_path_factory.mktemp("house")) as house:
        house.start()
        house.add_broker(broker.port)
        yield house


class Changing:
    """A ferd whose configuration is written anew and reloaded."""

    def __init__(self, file, port, house):
        self.file, self.port, self.house = file, port, house
        self.daemon = None

    def change(self, discovery, more="", node="hall-pi"):
        mqtt = f'host = "127.0.0.1"\nport = {self.port}\ndiscovery = {discovery}'
        camera = '[cameras.camera]\nsource = "demo"'
        self.file.write_text(f'[node]\nname = "{node}"\n{camera}\n[mqtt]\n{mqtt}\n{more}')
        if self.daemon is not None:
            before = self.daemon.log.count("reloaded")
            self.daemon.process.send_signal(signal.SIGHUP)
            wait_for(lambda: self.daemon.log.count("reloaded") > before, CHANGE_S, self.daemon.log)

    def still_shows(self, entities):
        time.sleep(SETTLED_S)
        self.shows(entities)

    def shows(self, entities):
        """Exactly these, and all of them available."""

        def there():
            ours = self.house.ours()
            return set(ours) == entities and "unavailable" not in ours.values()

        try:
            wait_for(there, CHANGE_S)
        except AssertionError:
            ours = self.house.ours()
            raise AssertionError(f"{set(ours) ^ entities} {ours}\n{self.daemon.log}") from None


def test_entities_follow_the_configuration(house, broker, tmp_path):
    ours = Changing(tmp_path / "ferd.toml", broker.port, house)
    old, new = '"components"', "true"
    best = new if house.knows_devices() else old
    ours.change(best, TIRED)
    with ferd("run", "--config", str(ours.file), folder=tmp_path) as ours.daemon:
        wait_for(lambda: set(house.ours()) >= OF_FATIGUE, CHANGE_S, ours.daemon.log)
        everything = set(house.ours())
        ours.shows(everything)
        ours.change(best)
        ours.shows(everything - OF_FATIGUE)
        ours.change(best, TIRED)
        ours.shows(everything)
        ours.change(best, TIRED, node="kitchen")
        ours.still_shows(everything)  # a rename keeps every entity, its id and its history
        ours.change(best, TIRED)
        ours.shows(everything)
        if house.knows_devices():
            assert house.problems("mqtt", "ferd") == []
            for form in (old, new):
                ours.change(form, TIRED)
                ours.still_shows(everything)
        ours.change("false", TIRED)
        ours.shows(set())
        assert ours.daemon.stop() == 0
