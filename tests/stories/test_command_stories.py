"""What a user sets and asks for over MQTT: real process, real broker."""

from __future__ import annotations

import json
import random
import signal
import time

import pytest
from brokers import Ear, mosquitto, wait_for
from ferd_process import broker_environ, ferd

START_S = 20.0
NODE = "ferd/test-pi"


@pytest.fixture
def broker(tmp_path):
    with mosquitto(tmp_path) as broker:
        yield broker


@pytest.fixture
def ear(broker):
    with Ear(broker.port) as ear:
        yield ear


def running(tmp_path, broker, *arguments, **environ):
    arguments = arguments or ("--source", "demo")
    return ferd("run", *arguments, folder=tmp_path, environ=broker_environ(broker.port) | environ)


def answer(ear, verb, payload="", timeout_s=10.0):
    """Asks and waits for the response to just this."""
    transaction = f"t{time.monotonic_ns()}"
    asked = payload if isinstance(payload, dict) else {}
    ear.say(f"{NODE}/request/{verb}", json.dumps(asked | {"transaction": transaction}))

    def responses():
        given = [json.loads(it) for it in ear.payloads(f"{NODE}/response/{verb}")]
        return [it for it in given if it["transaction"] == transaction]

    wait_for(responses, timeout_s, f"no response: {ear.heard[-5:]}")
    return responses()[0]


def test_the_camera_is_switched_off_and_stays_off_over_a_restart(tmp_path, broker, ear):
    with running(tmp_path, broker) as daemon:
        ear.wait(f"{NODE}/camera/status", "online", START_S)
        assert ear.wait(f"{NODE}/camera/enabled/state") == "ON"
        ear.say(f"{NODE}/camera/enabled/set", "OFF")
        ear.wait(f"{NODE}/camera/enabled/state", "OFF")
        ear.wait(f"{NODE}/camera/status", "disabled")
        assert "camera stopped name=camera closed=yes" in daemon.log
        assert ear.payloads(f"{NODE}/status")[-1] == "online"
        wait_for(lambda: json.loads(ear.payloads(f"{NODE}/camera/state")[-1])["expression"] is None)
        assert daemon.stop() == 0
    seen = len(ear.payloads(f"{NODE}/camera/status"))
    with running(tmp_path, broker) as daemon:
        wait_for(lambda: "ready" in daemon.log, START_S, daemon.log)
        ear.wait(f"{NODE}/camera/status", "disabled")
        assert "online" not in ear.payloads(f"{NODE}/camera/status")[seen:]
        ear.say(f"{NODE}/camera/enabled/set", "ON")
        ear.wait(f"{NODE}/camera/status", "online")
        assert "Traceback" not in daemon.log


def test_sensitivity_and_buzzer_are_kept(tmp_path, broker, ear):
    with running(tmp_path, broker) as daemon:
        ear.wait(f"{NODE}/camera/status", "online", START_S)
        ear.say(f"{NODE}/camera/sensitivity/set", "80")
        ear.say(f"{NODE}/camera/buzzer/set", "off")
        ear.wait(f"{NODE}/camera/sensitivity/state", "80")
        ear.wait(f"{NODE}/camera/buzzer/state", "OFF")
        assert daemon.stop() == 0
    with Ear(broker.port) as later:
        with running(tmp_path, broker) as daemon:
            wait_for(lambda: "ready" in daemon.log, START_S, daemon.log)
            later.wait(f"{NODE}/camera/sensitivity/state", "80")
            later.wait(f"{NODE}/camera/buzzer/state", "OFF")


def test_a_retained_set_does_nothing(tmp_path, broker, ear):
    """Somebody's old command must not switch the camera off at every start."""
    ear.say(f"{NODE}/camera/enabled/set", "OFF", retain=True)
    ear.say(f"{NODE}/request/restart", "", retain=False)
    with running(tmp_path, broker) as daemon:
        ear.wait(f"{NODE}/camera/status", "online", START_S)
        time.sleep(1)
        assert ear.payloads(f"{NODE}/camera/enabled/state")[-1] == "ON"
        assert ear.payloads(f"{NODE}/camera/status")[-1] == "online"
        assert "command" not in daemon.log


def test_every_request_is_answered_with_its_transaction(tmp_path, broker, ear):
    with running(tmp_path, broker) as daemon:
        ear.wait(f"{NODE}/camera/status", "online", START_S)
        assert answer(ear, "snooze", {"seconds": 60})["data"] == {"seconds": 60}
        assert answer(ear, "log_level", {"level": "debug"})["status"] == "ok"
        assert answer(ear, "reload")["data"] == {"changed": ""}
        before = len(ear.payloads(f"{NODE}/info"))
        assert answer(ear, "republish")["status"] == "ok"
        wait_for(lambda: len(ear.payloads(f"{NODE}/info")) == before + 1)
        wrong = answer(ear, "log_level", {"level": "shout"})
        assert (wrong["status"], wrong["error"]) == ("error", "send one of debug, info, warning, error")
        assert daemon.process.poll() is None


def test_a_restart_that_is_asked_for_is_a_new_ferd_in_the_same_process(tmp_path, broker, ear):
    with running(tmp_path, broker) as daemon:
        ear.wait(f"{NODE}/camera/status", "online", START_S)
        assert answer(ear, "restart")["status"] == "ok"
        wait_for(lambda: daemon.log.count("ready ") == 2, START_S, daemon.log)
        wait_for(lambda: ear.payloads(f"{NODE}/status")[-2:] == ["offline", "online"])
        ear.wait(f"{NODE}/camera/status", "online", START_S)
        assert daemon.stop() == 0


def test_under_systemd_a_restart_is_an_exit_that_systemd_answers(tmp_path, broker, ear):
    with running(tmp_path, broker, NOTIFY_SOCKET=str(tmp_path / "nobody")) as daemon:
        ear.wait(f"{NODE}/camera/status", "online", START_S)
        ear.say(f"{NODE}/request/restart", "PRESS")
        assert daemon.process.wait(10) == 75
        ear.wait(f"{NODE}/status", "offline")


def test_a_flood_of_commands_ends_in_the_last_one(tmp_path, broker, ear):
    """1,500 slider steps used to end somewhere in the middle, and a flood of ON and OFF in either state."""
    with running(tmp_path, broker) as daemon:
        ear.wait(f"{NODE}/camera/status", "online", START_S)
        for number in range(1500):
            ear.say(f"{NODE}/camera/sensitivity/set", str(number % 100))
            ear.say(f"{NODE}/camera/buzzer/set", "ON" if number % 2 else "OFF")
        ear.say(f"{NODE}/camera/sensitivity/set", "77")
        ear.say(f"{NODE}/camera/buzzer/set", "OFF")
        for topic, value in (("sensitivity", "77"), ("buzzer", "OFF")):
            state = f"{NODE}/camera/{topic}/state"
            wait_for(lambda: ear.payloads(state)[-1:] == [value], 20, str(ear.heard[-5:]))  # noqa: B023
        time.sleep(1.5)
        assert ear.payloads(f"{NODE}/camera/sensitivity/state")[-1] == "77"
        assert daemon.log.count("command verb=") < 200, "a flood must not fill the log"
        assert "dropped" not in daemon.log


def test_ten_thousand_random_payloads(tmp_path, broker, ear):
    """On all command topics, as fast as the broker takes them: no exception, nothing done, and it listens on."""
    chance = random.Random(8322)
    switches = [f"{NODE}/camera/{it}/set" for it in ("enabled", "buzzer", "sensitivity")]
    topics = [*switches, *(f"{NODE}/request/{it}" for it in ("restart", "republish", "snooze", "reload", "log_level"))]
    with running(tmp_path, broker) as daemon:
        ear.wait(f"{NODE}/camera/status", "online", START_S)
        for _ in range(10_000):
            payload = b"x" + chance.randbytes(int(chance.expovariate(1 / 30)))  # no plain value begins with x
            ear._client.publish(chance.choice(topics), payload)

        def is_answered():  # what comes while too much waits already is dropped, a good one too: ask until it is heard
            ear.say(f"{NODE}/request/snooze", '{"seconds":0,"transaction":"good"}')
            time.sleep(0.3)
            return any('"good"' in it for it in ear.payloads(f"{NODE}/response/snooze"))

        wait_for(is_answered, 60, daemon.log)
        refused = [json.loads(it) for topic, it, _ in list(ear.heard) if topic.startswith(f"{NODE}/response/")]
        assert len([it for it in refused if it["status"] == "error"]) > 50
        assert "Traceback" not in daemon.log
        assert daemon.log.count("command refused") == 1
        assert "command failed" not in daemon.log
        assert ear.payloads(f"{NODE}/camera/status")[-1] == "online"
        assert ear.payloads(f"{NODE}/camera/enabled/state")[-1] == "ON"
        assert daemon.stop() == 0


CONFIG = """
[node]
name = "test-pi"
[mqtt]
host = "127.0.0.1"
port = {port}
[cameras.camera]
source = "demo"
"""


def test_a_reload_builds_anew_what_changed_and_nothing_else(tmp_path, broker, ear):
    file = tmp_path / "ferd.toml"
    file.write_text(CONFIG.format(port=broker.port))
    with ferd("run", "--config", str(file), folder=tmp_path) as daemon:
        ear.wait(f"{NODE}/camera/status", "online", START_S)
        file.write_text(
            CONFIG.format(port=broker.port) + '[cameras.door]\nsource = "demo"\n[smoothing]\nmin_hold_s = 0.3\n'
        )
        daemon.process.send_signal(signal.SIGHUP)
        ear.wait(f"{NODE}/door/status", "online", START_S)
        wait_for(lambda: "models and rules, camera door" in daemon.log, what=daemon.log)
        assert json.loads(ear.wait(f"{NODE}/info"))["cameras"] == ["camera", "door"]
        assert ear.payloads(f"{NODE}/camera/status").count("online") == 1, "it was not opened anew"
        assert ear.payloads(f"{NODE}/status") == ["online"], "the connection stood"
        file.write_text(CONFIG.format(port=broker.port))
        assert answer(ear, "reload")["data"] == {"changed": "models and rules, camera door"}
        with Ear(broker.port) as later:
            later.wait(f"{NODE}/camera/status", "online")
            wait_for(lambda: not standing(later, f"{NODE}/door/"))


def test_a_bad_file_leaves_everything_as_it_was_and_says_why(tmp_path, broker, ear):
    file = tmp_path / "ferd.toml"
    file.write_text(CONFIG.format(port=broker.port))
    with ferd("run", "--config", str(file), folder=tmp_path) as daemon:
        ear.wait(f"{NODE}/camera/status", "online", START_S)
        for wrong, why in [
            ("[mqtt]\nport = true", "whole number"),
            ("[[[", "not valid TOML"),
            (CONFIG.format(port=broker.port) + '[expression]\nmodel = "nobody"', "no model named"),
            (
                CONFIG.format(port=broker.port).replace("port", 'username = "a"\npassword_file = "none"\nport'),
                "does not exist",
            ),
        ]:
            file.write_text(wrong)
            response = answer(ear, "reload")
            assert response["status"] == "error"
            assert why in response["error"]
        daemon.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "reload failed, everything runs on as it was" in daemon.log)
        time.sleep(0.5)
        assert ear.payloads(f"{NODE}/camera/status")[-1] == "online"
        assert ear.payloads(f"{NODE}/status") == ["online"]
        assert "Traceback" not in daemon.log
        assert daemon.stop() == 0


def test_a_wrong_password_is_corrected_by_a_reload(tmp_path):
    password = tmp_path / "password"
    password.write_text("wrong\n")
    with mosquitto(tmp_path, users={"ferd": "right"}) as broker:
        environ = {"FERD_MQTT__USERNAME": "ferd", "FERD_MQTT__PASSWORD_FILE": str(password)}
        with running(tmp_path, broker, **environ) as daemon:
            wait_for(lambda: "refused" in daemon.log, START_S, daemon.log)
            password.write_text("right\n")
            daemon.process.send_signal(signal.SIGHUP)
            with Ear(broker.port, username="ferd", password="right") as ear:
                ear.wait(f"{NODE}/status", "online", 10)
                ear.wait(f"{NODE}/camera/status", "online", 10)


def test_a_new_name_leaves_no_ghost_of_the_old_one(tmp_path, broker, ear):
    file = tmp_path / "ferd.toml"
    file.write_text(CONFIG.format(port=broker.port))
    with ferd("run", "--config", str(file), folder=tmp_path) as daemon:
        ear.wait(f"{NODE}/camera/status", "online", START_S)
        wait_for(lambda: [it for it in ear.heard if it[0].startswith("homeassistant/device/")])
        (document,) = {topic for topic, _, _ in ear.heard if topic.startswith("homeassistant/device/")}
        ids = unique_ids(ear.payloads(document)[-1])
        file.write_text(CONFIG.format(port=broker.port).replace("test-pi", "new-pi"))
        daemon.process.send_signal(signal.SIGHUP)
        ear.wait("ferd/new-pi/camera/status", "online", START_S)
        with Ear(broker.port) as later:
            later.wait("ferd/new-pi/status", "online")
            wait_for(lambda: not standing(later, "ferd/test-pi/"))
            assert unique_ids(later.wait(document)) == ids, "Home Assistant keeps every entity"
            assert "ferd/new-pi/camera/state" in later.payloads(document)[-1]
        ear.say("ferd/new-pi/request/snooze", '{"transaction":"n"}')
        ear.wait("ferd/new-pi/response/snooze")
        assert daemon.stop() == 0


def standing(ear, start):
    """Topics that have a value now."""
    last = {topic: payload for topic, payload, _ in list(ear.heard)}
    return [topic for topic, payload in last.items() if topic.startswith(start) and payload]


def unique_ids(document):
    return {part["unique_id"] for part in json.loads(document)["components"].values() if "unique_id" in part}
