"""What the driver hears while things go wrong: the real process, with fake pins that write down every edge."""

import json
import signal
import time
from pathlib import Path

import pytest
from brokers import Ear, mosquitto, wait_for
from ferd_process import Ferd, broker_environ, ferd
from http_camera import http_camera

FERD = ("-m", "ferd")
WITH_ALERTS = (str(Path(__file__).parent / "ferd_with_alerts.py"),)
START_S = 20.0
NODE = "ferd/test-pi"
BUZZER = """
[buzzer]
pin = 18
status_led_pin = 23
alarm = "continuous"
warning = "continuous"
warning_every_s = 0
"""
FATIGUE = "[fatigue]\nenabled = true\n"
SOMEBODY = """
[[alerts]]
name = "somebody is there"
faces = "present"
for_s = 0.5
level = "alarm"
buzzer = "knock"

[buzzer]
pin = 18

[buzzer.patterns]
knock = [[0.1, 0.1]]
"""
NOBODY_S, SHUT_S, AWAKE_S = 36.0, 27.5, 1.5
"""Seconds of the demo scene."""


class Car:
    """What all the stories share: the record of the pins, and the alerts that hold."""

    def __init__(self, folder, source="demo"):
        self.folder, self._source = folder, source
        self._record, self._alerts = folder / "record", folder / "alerts"
        self.config = folder / "ferd.toml"
        self.config.write_text(BUZZER)
        self.alert()

    def alert(self, *lines):
        """These hold from now on, each as "name level pattern"."""
        new = self._alerts.with_suffix(".new")
        new.write_text("\n".join(lines))
        new.replace(self._alerts)

    @property
    def environ(self):
        return {
            "FERD_BUZZER_RECORD": str(self._record),
            "MADE_UP_ALERTS": str(self._alerts),
            "FERD_NODE__NAME": "test-pi",
            "FERD_MQTT__PORT": "1",
            "RUNTIME_DIRECTORY": str(self.folder),
        }

    def drive(self, port=None, program=WITH_ALERTS):
        environ = self.environ | (broker_environ(port) if port else {})
        command = ("run", "--config", str(self.config), "--source", self._source)
        return ferd(*command, folder=self.folder, environ=environ, program=program)

    @property
    def sounds(self):
        return self._changes("sound")

    @property
    def watching(self):
        return self._changes("watching")

    def _changes(self, what):
        if not self._record.exists():
            return []
        lines = [line.split() for line in self._record.read_text().splitlines()]
        return [line[2] for line in lines if line[1] == what]


@pytest.fixture
def car(tmp_path):
    return Car(tmp_path)


def test_it_sounds_until_the_eyes_open_and_is_off_at_the_end(car):
    with car.drive() as daemon:
        wait_for(lambda: car.watching == ["on"], START_S, daemon.log)
        car.alert("fatigue alarm default")
        wait_for(lambda: car.sounds == ["on"], 5, daemon.log)
        car.alert()
        wait_for(lambda: car.sounds == ["on", "off"], 5)
        car.alert("fatigue alarm default")
        wait_for(lambda: car.sounds == ["on", "off", "on"], 5)
        assert daemon.stop() == 0
        assert car.sounds[-1] == "off"
        assert car.watching[-1] == "off"


def test_the_camera_is_unplugged_during_an_alarm(tmp_path):
    """The alarm ends, since nobody sees any more whether it holds, and "I am blind" is told instead."""
    with http_camera() as camera:
        car = Car(tmp_path, camera.url)
        car.config.write_text(car.config.read_text() + FATIGUE)
        with car.drive() as daemon:
            wait_for(lambda: car.watching == ["on"], START_S, daemon.log)
            car.alert("fatigue alarm default")
            wait_for(lambda: car.sounds == ["on"], 5, daemon.log)
            camera.unplug()
            wait_for(lambda: car.watching[-1] == "off", 15, daemon.log)
            wait_for(lambda: car.sounds[1:] == ["on", "off"] * 3, 10, str(car.sounds))  # one long, two short
            assert "plays=blind" in daemon.log
            car.alert()
            camera.plug()
            wait_for(lambda: car.watching[-1] == "on", 40, daemon.log)
            wait_for(lambda: "buzzer silent" in daemon.log, 5, daemon.log)


def test_a_camera_that_was_never_there_is_told(tmp_path):
    car = Car(tmp_path, str(tmp_path / "nothing.mp4"))
    car.config.write_text(car.config.read_text() + FATIGUE)
    with car.drive() as daemon:
        wait_for(lambda: "plays=blind" in daemon.log, START_S, daemon.log)


def test_without_alerts_a_lost_camera_is_no_reason_to_sound(tmp_path):
    car = Car(tmp_path, str(tmp_path / "nothing.mp4"))
    with car.drive() as daemon:
        wait_for(lambda: "camera offline" in daemon.log, START_S, daemon.log)
        time.sleep(1)
        assert car.sounds == []


def test_the_broker_goes_during_an_alarm(car, tmp_path):
    with mosquitto(tmp_path) as broker, car.drive(broker.port) as daemon:
        wait_for(lambda: car.watching == ["on"], START_S, daemon.log)
        car.alert("fatigue alarm default")
        wait_for(lambda: car.sounds == ["on"], 5, daemon.log)
        broker.stop()
        wait_for(lambda: "ferd.outputs.mqtt.client: lost" in daemon.log, 10, daemon.log)
        assert car.sounds == ["on"], "it sounds on"
        car.alert()
        wait_for(lambda: car.sounds == ["on", "off"], 5, "open eyes end it without a broker")
        car.alert("fatigue warning double")
        wait_for(lambda: len(car.sounds) >= 6, 10, "and the next one is heard")
        broker.start()
        with Ear(broker.port) as ear:
            wait_for(lambda: told(ear) == ("warning", True), 30, str(ear.heard))


def test_killed_while_it_sounds(car):
    """What ExecStopPost does then. The configuration has been broken meanwhile."""
    with car.drive() as daemon:
        wait_for(lambda: car.watching == ["on"], START_S, daemon.log)
        car.alert("fatigue alarm default")
        wait_for(lambda: car.sounds == ["on"], 5, daemon.log)
        daemon.stop(signal.SIGKILL)
        assert car.sounds == ["on"], "a pin stays as it was"
        car.config.write_text("[buzzer]\npin = what\n")
        off = Ferd(("buzzer", "off", "--config", str(car.config)), car.folder, car.environ)
        assert off.process.wait(START_S) == 0, off.log
        assert car.sounds == ["on", "off"]
        assert "GPIO 18, 23" in off.log


def test_a_snooze_and_what_it_may_not_silence(car, tmp_path):
    with mosquitto(tmp_path) as broker, Ear(broker.port) as ear, car.drive(broker.port) as daemon:
        wait_for(lambda: car.watching == ["on"], START_S, daemon.log)
        ear.wait(f"{NODE}/status", "online", START_S)
        car.alert("fatigue warning default")
        wait_for(lambda: car.sounds == ["on"], 5, daemon.log)
        wait_for(lambda: told(ear) == ("warning", True), 5)
        ear.say(f"{NODE}/request/snooze", "60")
        wait_for(lambda: car.sounds == ["on", "off"], 5, daemon.log)
        wait_for(lambda: told(ear) == ("warning", False), 5, "the message does not claim a sound")
        answer = json.loads(ear.wait(f"{NODE}/response/snooze"))
        assert (answer["status"], answer["data"]) == ("ok", {"seconds": 60})
        car.alert("fatigue alarm default")
        wait_for(lambda: car.sounds == ["on", "off", "on"], 5, "the alarm level is heard all the same")
        ear.say(f"{NODE}/camera/buzzer/set", "OFF")
        wait_for(lambda: car.sounds[-1] == "off", 5, "the switch silences everything")
        ear.say(f"{NODE}/camera/buzzer/set", "ON")
        wait_for(lambda: car.sounds[-1] == "on", 5, daemon.log)


def test_a_snooze_that_may_silence_everything(car, tmp_path):
    with car.config.open("a") as file:
        file.write("snooze_silences_alarm = true\n")
    with mosquitto(tmp_path) as broker, Ear(broker.port) as ear, car.drive(broker.port) as daemon:
        wait_for(lambda: car.watching == ["on"], START_S, daemon.log)
        ear.wait(f"{NODE}/status", "online", START_S)
        car.alert("fatigue alarm default")
        wait_for(lambda: car.sounds == ["on"], 5, daemon.log)
        ear.say(f"{NODE}/request/snooze", "60")
        wait_for(lambda: car.sounds == ["on", "off"], 5, daemon.log)


def test_another_pattern_by_reload(car):
    with car.drive() as daemon:
        wait_for(lambda: car.watching == ["on"], START_S, daemon.log)
        car.alert("fatigue alarm default")
        wait_for(lambda: car.sounds == ["on"], 5, daemon.log)
        car.config.write_text("[buzzer]\npin = 18\nstatus_led_pin = 23\n")
        daemon.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "plays=urgent" in daemon.log, 10, daemon.log)
        wait_for(lambda: len(car.sounds) > 6, 5, daemon.log)


def told(ear):
    """Level and buzzer of the alert that was told last."""
    alerts = ear.payloads(f"{NODE}/camera/alert")
    last = json.loads(alerts[-1]) if alerts else {}
    return last.get("level"), last.get("buzzer")


def test_a_rule_of_the_users_own_sounds(tmp_path):
    """Nothing is made up here but the picture: somebody is there, then nobody."""
    with http_camera() as camera:
        car = Car(tmp_path, camera.url)
        car.config.write_text(SOMEBODY)
        with car.drive(program=FERD) as daemon:
            wait_for(lambda: len(car.sounds) >= 4, START_S, daemon.log)
            assert "plays=knock level=alarm camera=camera alert=somebody is there" in daemon.log
            camera.scene_s = NOBODY_S
            wait_for(lambda: "buzzer silent" in daemon.log, 10, daemon.log)
            assert car.sounds[-1] == "off"


def test_the_driver_closes_her_eyes(tmp_path):
    with http_camera() as camera:
        car = Car(tmp_path, camera.url)
        car.config.write_text(car.config.read_text() + FATIGUE)
        with car.drive(program=FERD) as daemon:
            wait_for(lambda: car.watching == ["on"], START_S, daemon.log)
            time.sleep(2)
            assert car.sounds == [], "she is awake"
            camera.scene_s = SHUT_S
            wait_for(lambda: "level=alarm" in daemon.log, 15, daemon.log)
            camera.scene_s = AWAKE_S
            wait_for(lambda: daemon.log.rstrip().endswith("buzzer silent"), 10, daemon.log)
            assert car.sounds[-1] == "off"
