"""One tick: every camera is stepped, one snapshot is made, every sink is updated, and a failure stays alone."""

from __future__ import annotations

import pytest

from ferd.config import Config
from ferd.engine import LOG_EVERY_S, Boundary, Engine
from ferd.errors import ConfigError
from ferd.payloads import Event
from ferd.settings_store import CameraSettings
from ferd.snapshot import CameraEvent, CameraSnapshot, ModelInfo, section_changed

MODEL = ModelInfo("expression", ("joy", "neutral"), "face", "litert")


class Worker:
    """A camera worker that does as it is told."""

    def __init__(self, name, *, fails=False, settled=True):
        self.name, self.fails, self.settled, self.steps = name, fails, settled, 0

    def step(self, *, throttled):
        self.steps += 1
        if self.fails:
            raise ZeroDivisionError("in the driver")

    def snapshot(self):
        return CameraSnapshot(self.name, Config().cameras["camera"], CameraSettings(), settled=self.settled)

    def take_events(self):
        event = Event("face_appeared", f"id-{self.name}-{self.steps}", 1, None, None, None, None, 0.0)
        return [CameraEvent(self.name, event)]


class RecordingSink:
    def __init__(self, *, fails=False):
        self.fails, self.updates, self.stopped = fails, [], False

    def check(self, config):
        if config.node.name == "wrong":
            raise ConfigError("this name is wrong")

    def update(self, before, after, events):
        self.updates.append((before, after, list(events)))
        if self.fails:
            raise ZeroDivisionError("in a sink")

    def stop(self):
        self.stopped = True
        if self.fails:
            raise ZeroDivisionError("at the end")


def tick(engine, *workers, config=None):
    return engine.tick(config or Config(), MODEL, workers, files={})


def test_every_sink_sees_the_same_pair_and_the_same_events():
    sinks = RecordingSink(), RecordingSink()
    engine = Engine(sinks)
    first = tick(engine, Worker("desk"))
    second = tick(engine, Worker("desk"))
    for sink in sinks:
        assert [(before, after) for before, after, _events in sink.updates] == [(None, first), (first, second)]
        assert [len(events) for _before, _after, events in sink.updates] == [1, 1]
    assert engine.snapshot is second


def test_a_sink_that_raises_is_logged_once_and_the_others_go_on(caplog):
    good = RecordingSink()
    engine = Engine((RecordingSink(fails=True), good))
    for _ in range(5):
        tick(engine, Worker("desk"))
    assert len(good.updates) == 5
    assert caplog.text.count("ZeroDivisionError: in a sink") == 1


def test_a_camera_that_raises_harms_neither_the_other_one_nor_the_sinks(caplog):
    """One exception on one frame of one camera used to end the daemon."""
    sink, broken, good = RecordingSink(), Worker("desk", fails=True), Worker("door")
    engine = Engine((sink,))
    for _ in range(3):
        tick(engine, broken, good)
    assert good.steps == 3
    assert list(sink.updates[-1][1].cameras) == ["desk", "door"]
    assert "camera desk" in caplog.text


def test_a_failure_that_lasts_is_logged_again_after_a_while(caplog):
    now = [0.0]
    boundary = Boundary(lambda: now[0])

    def fails():
        raise ValueError("again")

    for second in (0.0, 1.0, LOG_EVERY_S + 1.0):
        now[0] = second
        assert not boundary.call("sink", fails)
    assert caplog.text.count("ValueError: again") == 2


def test_all_sinks_are_stopped_though_one_raises():
    sinks = RecordingSink(fails=True), RecordingSink()
    Engine(sinks).stop()
    assert all(sink.stopped for sink in sinks)


def test_a_configuration_that_a_sink_refuses_is_refused():
    engine = Engine((RecordingSink(),))
    engine.check(Config())
    with pytest.raises(ConfigError, match="this name is wrong"):
        engine.check(Config.model_validate({"node": {"name": "wrong"}}))


def test_it_is_ready_once_every_camera_is_settled():
    engine = Engine(())
    assert not tick(engine, Worker("desk"), Worker("door", settled=False)).ready
    assert tick(engine, Worker("desk"), Worker("door")).ready


def test_a_commanded_switch_is_in_one_snapshot():
    engine = Engine(())
    engine.note_command("desk", "enabled")
    assert tick(engine, Worker("desk")).commanded == (("desk", "enabled"),)
    assert tick(engine, Worker("desk")).commanded == ()


def test_a_section_has_changed_when_a_key_or_a_file_has():
    engine = Engine(())
    before = engine.tick(Config(), MODEL, [], files={"mqtt": (("/password", 1, 8),)})
    same = engine.tick(Config(), MODEL, [], files={"mqtt": (("/password", 1, 8),)})
    touched = engine.tick(Config(), MODEL, [], files={"mqtt": (("/password", 2, 8),)})
    moved = engine.tick(Config.model_validate({"mqtt": {"port": 8883}}), MODEL, [], files=touched.files)
    assert section_changed(None, before, "mqtt")
    assert not section_changed(before, same, "mqtt")
    assert section_changed(same, touched, "mqtt")
    assert section_changed(touched, moved, "web", "mqtt")
    assert not section_changed(touched, moved, "web")
