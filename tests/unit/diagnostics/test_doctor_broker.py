"""The examination of the broker, against real ones with real faults."""

import json

import pytest
from brokers import Ear, free_port, mosquitto, wait_for
from ferd_process import broker_environ, ferd

from ferd.config import Config, MqttConfig, NodeConfig
from ferd.diagnostics.broker import broker, recovered
from ferd.diagnostics.finding import worst
from ferd.outputs.mqtt.connection_policy import Backoff
from ferd.outputs.mqtt.outbox import Outbox
from ferd.outputs.mqtt.publisher import Publisher


def examine(port, *, node="hall-pi", **mqtt):
    config = Config(node=NodeConfig(name=node), mqtt=MqttConfig(host="127.0.0.1", port=port, **mqtt))
    return {finding.about: finding for finding in broker(config, {})}


def test_all_is_well(tmp_path):
    with mosquitto(tmp_path) as server:
        found = examine(server.port)
    assert worst(found.values()) in ("ok", "note")
    assert "MQTT 5" in found["broker"].found
    assert "round trip" in found["acl"].found
    assert found["discovery"].verdict == "ok"


def test_another_device_with_our_name_is_an_error(tmp_path):
    info = json.dumps({"v": 1, "id": "ferd_bbbbbb", "run": "b1"})
    with mosquitto(tmp_path) as server, Ear(server.port) as ear:
        ear.say("ferd/hall-pi/info", info, retain=True)
        ear.say("ferd/hall-pi/status", "offline", retain=True)
        assert "node name" not in examine(server.port), "it may be a device that this one replaces"
        ear.say("ferd/hall-pi/status", "online", retain=True)
        found = examine(server.port)["node name"]
    assert found.verdict == "error"
    assert "ferd_bbbbbb" in found.found
    assert "node.name" in found.remedy


def test_a_broker_that_gives_each_user_one_id_is_named(tmp_path):
    """ferd and doctor log in as one user, and take the connection from each other."""
    (tmp_path / "password").write_text("right\n")
    login = {"username": "hall-pi", "password_file": tmp_path / "password"}
    more = ["use_username_as_clientid true"]
    with mosquitto(tmp_path, users={"hall-pi": "right"}, more=more) as server:
        config = MqttConfig(host="127.0.0.1", port=server.port, **login)
        publisher = Publisher(config, "hall-pi", "ferd_aaaaaa", Outbox(), backoff=Backoff(0.3, 0.6))
        publisher.start()
        try:
            wait_for(lambda: publisher.status.connected)
            found = examine(server.port, **login)
        finally:
            publisher.stop()
    assert found["broker"].verdict == "error"
    assert "use_username_as_clientid" in found["broker"].remedy


@pytest.mark.parametrize("setting", ["retain_available false", "max_qos 0"])
def test_what_a_broker_does_not_offer_is_named(tmp_path, setting):
    with mosquitto(tmp_path, more=[setting]) as server:
        config = Config(node=NodeConfig(name="hall-pi"), mqtt=MqttConfig(host="127.0.0.1", port=server.port))
        found = list(broker(config, {}))
    assert [it.found for it in found if it.verdict == "warning"]
    assert not [it for it in found if it.verdict == "error"]


def test_no_broker_listens():
    found = examine(free_port())
    assert found["broker"].verdict == "error"
    assert "is the broker running" in found["broker"].remedy


def test_a_name_without_an_address():
    config = Config(mqtt=MqttConfig(host="broker.invalid"))
    (finding,) = broker(config, {})
    assert finding.verdict == "error"
    assert "has no address" in finding.found


def test_a_wrong_password(tmp_path):
    (tmp_path / "password").write_text("wrong\n")
    with mosquitto(tmp_path, users={"hall-pi": "right"}) as server:
        found = examine(server.port, username="hall-pi", password_file=tmp_path / "password")
    assert found["broker"].verdict == "error"
    assert "mqtt.password_file" in found["broker"].found


@pytest.mark.parametrize(
    ("acl", "part", "words"),
    [
        ("topic write ferd/hall-pi/#\ntopic write homeassistant/#\n", "acl", "does not come back"),
        ("topic read ferd/hall-pi/#\ntopic write homeassistant/#\n", "acl", "refuses ferd/hall-pi/request"),
        ("topic readwrite ferd/hall-pi/#\n", "discovery", "refuses homeassistant/sensor"),
    ],
)
def test_what_the_acl_does_not_let_us_do(tmp_path, acl, part, words):
    with mosquitto(tmp_path, acl=acl) as server:
        found = examine(server.port)
    assert found[part].verdict == "error"
    assert words in found[part].found
    assert "allow this user" in found[part].remedy


def test_the_acl_of_our_example_is_enough(tmp_path):
    acl = (
        "topic write ferd/hall-pi/#\ntopic read ferd/hall-pi/request/+\ntopic read ferd/hall-pi/+/+/set\n"
        "topic write homeassistant/device/+/config\ntopic write homeassistant/+/+/+/config\n"
        "topic read homeassistant/status\n"
    )
    with mosquitto(tmp_path, acl=acl) as server:
        found = examine(server.port)
    assert worst(found.values()) in ("ok", "note")


def test_a_message_of_the_documents_size_comes_through(tmp_path):
    with mosquitto(tmp_path) as server:
        found = examine(server.port)
    assert "as large as the discovery document, comes through" in found["message size"].found


@pytest.mark.parametrize("limit", ["message_size_limit 2000", "max_packet_size 2000"])
def test_a_broker_that_takes_no_message_of_that_size(tmp_path, limit):
    """The small messages pass, so that only the size check fails."""
    with mosquitto(tmp_path, more=[limit]) as server:
        found = examine(server.port)
    assert [about for about, finding in found.items() if finding.verdict == "error"] == ["message size"]
    assert "does not come through" in found["message size"].found
    assert "message_size_limit" in found["message size"].remedy


def test_the_recoveries_of_a_camera_are_reported():
    good = recovered("desk", {"fps": 14.9, "reopened": 0, "rebuilt": 0, "restarts": 0, "reason": None})
    assert (good.verdict, good.found) == ("ok", "14.9 frames per second")
    health = {"fps": 14.9, "reopened": 3, "rebuilt": 1, "restarts": 1, "reason": "no picture for 2 s"}
    bad = recovered("desk", health)
    assert bad.verdict == "warning"
    assert bad.found == (
        "14.9 frames per second, reopened 3x, rebuilt after a hang 1x, ferd restarted for it 1x; "
        "last reason: no picture for 2 s"
    )
    assert recovered("desk", {"fps": 1.0, "reopened": 1}).verdict == "warning", "health of an older ferd"


def test_beside_a_running_ferd_nothing_is_disturbed(tmp_path):
    with mosquitto(tmp_path) as server, Ear(server.port) as ear:
        with ferd("run", "--source", "demo", folder=tmp_path, environ=broker_environ(server.port)):
            ear.wait("ferd/test-pi/camera/status", "online", 60)
            wait_for(lambda: ear.payloads("ferd/test-pi/health"), 15)
            before = len(ear.payloads("ferd/test-pi/status"))
            found = examine(server.port, node="test-pi")
            assert found["daemon"].found == "test-pi is online"
            assert "frames per second" in found["camera camera"].found
            assert len(ear.payloads("ferd/test-pi/status")) == before
            answers = [topic for topic, _, _ in ear.heard if "/response/" in topic]
            assert answers == []
        kept = {topic for topic, payload, retained in ear.heard if retained and "doctor" in topic and payload}
    assert not kept
    assert json.loads(ear.payloads("ferd/test-pi/info")[-1])
