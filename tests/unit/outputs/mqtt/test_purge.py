from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from brokers import Ear, Mosquitto, free_port, mosquitto, wait_for

from ferd.cli.main import main
from ferd.outputs.home_assistant.discovery import Form, documents, identity
from ferd.outputs.home_assistant.entities import Device
from ferd.outputs.mqtt.message import Message
from ferd.outputs.mqtt.outbox import Outbox
from ferd.outputs.mqtt.publisher import Publisher
from ferd.outputs.mqtt.topics import PUBLISHED

KITCHEN = "ferd/kitchen/status"


@pytest.fixture
def broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mosquitto]:
    """With a broker that is configured, for a node named hall."""
    with mosquitto(tmp_path) as broker:
        monkeypatch.setenv("FERD_MQTT__HOST", broker.host)
        monkeypatch.setenv("FERD_MQTT__PORT", str(broker.port))
        monkeypatch.setenv("FERD_NODE__NAME", "hall")
        yield broker


def fill(broker: Mosquitto, node: str, who: str, form: Form = "device", *, user: str | None = None) -> list[Message]:
    """Everything that a ferd of that name retains, and one command that somebody retained by mistake."""
    names = {"node": node, "camera": "desk"}
    told = [kind.message(kind.examples[0], **names) for kind in PUBLISHED if kind.retain and "ferd/" in kind.pattern]
    told += documents("homeassistant", Device(who, node, ["desk"], ["joy"]), form)
    told.append(Message(f"ferd/{node}/desk/enabled/set", b"OFF", retain=True))
    with Ear(broker.port, username=user, password=user) as ear:
        for message in told:
            ear.say(message.topic, message.payload.decode(), retain=True)
    return told


def retained(broker: Mosquitto) -> set[str]:
    with Ear(broker.port) as ear:
        ear.say("the/last", "word")
        ear.wait("the/last")
        return {topic for topic, payload, kept in ear.heard if kept and payload}


@pytest.mark.parametrize("form", ["device", "components"])
def test_everything_of_this_node_goes_and_nothing_else(
    broker: Mosquitto, form: Form, capsys: pytest.CaptureFixture[str]
):
    told = fill(broker, "hall", identity(), form)
    others = {message.topic for message in fill(broker, "kitchen", "ferd_012345", form)}
    assert main(["mqtt", "purge", "--yes"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[:-1] == sorted(message.topic for message in told)
    assert said[-1] == f"removed {len(told)} retained topics of hall"
    assert retained(broker) == others


def test_a_pi_that_is_no_more_is_purged_from_another(broker: Mosquitto):
    fill(broker, "kitchen", "ferd_012345")
    fill(broker, "hall", identity())
    before = retained(broker)
    assert main(["mqtt", "purge", "--yes", "--node", "kitchen"]) == 0
    gone = before - retained(broker)
    assert gone == {topic for topic in before if "kitchen" in topic or "ferd_012345" in topic}


def test_after_a_rename_the_entities_stay(broker: Mosquitto):
    fill(broker, "kitchen", identity())
    fill(broker, "hall", identity())  # the same machine: its document now names hall
    assert main(["mqtt", "purge", "--yes", "--node", "kitchen"]) == 0
    assert f"homeassistant/device/{identity()}/config" in retained(broker)
    assert KITCHEN not in retained(broker)


def test_nothing_to_do(broker: Mosquitto, capsys: pytest.CaptureFixture[str]):
    assert main(["mqtt", "purge"]) == 0
    assert capsys.readouterr().out == f"nothing is known to be retained of hall at 127.0.0.1:{broker.port}\n"


def test_documents_of_others_are_left_alone(broker: Mosquitto):
    foreign = {
        "homeassistant/sensor/other/temperature/config": json.dumps({"state_topic": "ferd/hall/status"}),
        "homeassistant/device/ferd_999999/config": "not JSON",
        "homeassistant/device/ferd_888888/config": "[" * 5000,
    }
    with Ear(broker.port) as ear:
        for topic, payload in foreign.items():
            ear.say(topic, payload, retain=True)
    fill(broker, "hall", identity())
    assert main(["mqtt", "purge", "--yes"]) == 0
    assert retained(broker) == foreign.keys()


def test_a_ferd_that_runs_is_said(broker: Mosquitto, capsys: pytest.CaptureFixture[str]):
    from ferd.config import MqttConfig

    publisher = Publisher(MqttConfig(host=broker.host, port=broker.port), "hall", identity(), Outbox())
    publisher.start()
    wait_for(lambda: "ferd/hall/status" in retained(broker))
    code = main(["mqtt", "purge", "--yes"])
    publisher.stop()
    said = capsys.readouterr().err
    assert "a ferd named hall says that it is online. Stop it before" in said
    assert ("there again: ferd/hall/status: stop the ferd named hall" in said) is (code == 1), "if it was quick"


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("YES ", 0), ("", 1), ("n", 1)])
def test_it_asks(broker: Mosquitto, answer: str, code: int, monkeypatch: pytest.MonkeyPatch):
    fill(broker, "hall", identity())
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _question: answer)
    assert main(["mqtt", "purge"]) == code
    assert bool(retained(broker)) is bool(code)


def test_without_anybody_to_ask_nothing_is_removed(
    broker: Mosquitto, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    fill(broker, "hall", identity())
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    assert main(["mqtt", "purge"]) == 1
    assert "--yes" in capsys.readouterr().err
    assert retained(broker)


def test_what_the_broker_refuses_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    acl = "user admin\ntopic readwrite #\nuser guest\ntopic read #\ntopic write homeassistant/#\n"
    (tmp_path / "password").write_text("guest")
    with mosquitto(tmp_path, users={"admin": "admin", "guest": "guest"}, acl=acl) as broker:
        told = fill(broker, "hall", identity(), user="admin")
        config = tmp_path / "ferd.toml"
        where = f'host = "127.0.0.1"\nport = {broker.port}\nusername = "guest"\npassword_file = "password"'
        config.write_text(f'[node]\nname = "hall"\n[mqtt]\n{where}\n')
        assert main(["mqtt", "purge", "--yes", "--config", str(config)]) == 1
        said = capsys.readouterr().err
        assert "does not let us remove" in said
        assert all(message.topic in said for message in told if message.topic.startswith("ferd/"))


SECURED = """
user admin
topic readwrite #
user hall
topic write ferd/hall/#
topic read ferd/hall/request/+
topic read ferd/hall/status
topic write homeassistant/device/+/config
topic write homeassistant/+/+/+/config
"""


def test_a_ferd_that_may_not_read_its_own_tree_removes_what_it_may_have_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """As with examples/mosquitto/acl: mosquitto grants the subscription, and passes nothing on."""
    (tmp_path / "password").write_text("hall")
    with mosquitto(tmp_path, users={"admin": "admin", "hall": "hall"}, acl=SECURED) as broker:
        told = fill(broker, "hall", identity(), user="admin")
        config = tmp_path / "ferd.toml"
        where = f'host = "127.0.0.1"\nport = {broker.port}\nusername = "hall"\npassword_file = "password"'
        config.write_text(f'[node]\nname = "hall"\n[mqtt]\n{where}\n[cameras.desk]\nsource = "demo"\n')
        assert main(["mqtt", "purge", "--yes", "--config", str(config), "--node", "kitchen"]) == 1
        assert main(["mqtt", "purge", "--yes", "--config", str(config)]) == 0
        said = capsys.readouterr()
        assert "does not let this user read and write ferd/hall/#" in said.err
        with Ear(broker.port, username="admin", password="admin") as ear:
            ear.say("the/last", "word")
            ear.wait("the/last")
            left = {topic for topic, payload, kept in ear.heard if kept and payload}
    assert left == {"ferd/hall/desk/enabled/set"}, f"of {len(told)}, only what ferd never writes"


def test_no_broker(capsys: pytest.CaptureFixture[str]):
    assert main(["mqtt", "purge", "--host", "127.0.0.1", "--port", str(free_port())]) == 1
    assert re.search(r"no connection to the broker at 127\.0\.0\.1:\d+: .*Is it running", capsys.readouterr().err)
