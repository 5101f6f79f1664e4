"""Everything that ferd says, through a real broker, is as `ferd mqtt schema` says; what is no more leaves no trace."""

import json

import pytest
from brokers import Ear, mosquitto, wait_for
from ferd_process import ferd
from schemas import faults, topic_of

from ferd.topics import DISCOVERY, DISCOVERY_COMPONENT, PUBLISHED

START_S = 90.0
NODE = "ferd/test-pi"
ALL_OF_IT = """
[fatigue]
enabled = true
[[alerts]]
name = "Somebody is there"
faces = "present"
for_s = 0
[cameras.door]
source = "demo"
[cameras.hall]
source = "demo"
"""
LITTLE = """
[cameras.hall]
source = "demo"
"""


@pytest.fixture
def broker(tmp_path):
    with mosquitto(tmp_path) as broker:
        yield broker


@pytest.fixture
def run(tmp_path, broker):
    """Starts ferd with these cameras, rules and form of discovery; its state folder stays the same."""

    def start(text, discovery):
        file = tmp_path / "ferd.toml"
        mqtt = f'host = "127.0.0.1"\nport = {broker.port}\ndiscovery = {discovery}\nimage = true'
        file.write_text(f'[node]\nname = "test-pi"\n[mqtt]\n{mqtt}\n{text}')
        return ferd("run", "--config", str(file), folder=tmp_path)

    return start


def kinds(messages):
    return {topic_of(topic) for topic, _, _ in messages}


def wrong(messages):
    ours = [(topic, payload) for topic, payload, _ in messages if not (topic_of(topic) and topic_of(topic).taken)]
    return [fault for topic, payload in ours for fault in faults(topic, payload)]


def answered(ear, verb):
    return [json.loads(payload) for payload in ear.payloads(f"{NODE}/response/{verb}")]


@pytest.mark.parametrize(("discovery", "document"), [("true", DISCOVERY), ('"components"', DISCOVERY_COMPONENT)])
def test_all_that_is_said_is_as_the_schema_says(broker, run, discovery, document):
    with Ear(broker.port) as ear, run(ALL_OF_IT, discovery) as daemon:
        ear.wait(f"{NODE}/hall/state", timeout_s=START_S)
        ear.wait(f"{NODE}/hall/image", timeout_s=START_S)
        wait_for(lambda: any('"alert_began"' in it for it in ear.payloads(f"{NODE}/hall/event")), START_S, daemon.log)
        ear.wait(f"{NODE}/hall/fatigue", timeout_s=START_S)
        ear.say(f"{NODE}/hall/sensitivity/set", "70")
        ear.wait(f"{NODE}/hall/sensitivity/state", "70")
        ear.say(f"{NODE}/hall/buzzer/set", "off")
        ear.wait(f"{NODE}/hall/buzzer/state", "OFF")
        ear.say(f"{NODE}/hall/enabled/set", "OFF")
        ear.wait(f"{NODE}/hall/status", "disabled", START_S)
        ear.say(f"{NODE}/request/log_level", '{"level":"info","transaction":7}')
        ear.say(f"{NODE}/request/snooze", "soon")
        wait_for(lambda: answered(ear, "log_level") and answered(ear, "snooze"), START_S)
        ear.wait(f"{NODE}/health", timeout_s=START_S)
        everything = set(PUBLISHED) - {DISCOVERY, DISCOVERY_COMPONENT} | {document}
        wait_for(lambda: everything <= kinds(ear.heard), START_S, daemon.log)
        retained = {kind for kind in everything if kind.retain}
        with Ear(broker.port) as late:
            wait_for(lambda: retained <= kinds(late.heard), START_S)
            kept = [message for message in late.heard if message[2]]
        assert daemon.stop() == 0, daemon.log
    assert wrong(ear.heard) == []
    assert kinds(kept) == retained
    assert (answered(ear, "log_level")[0]["transaction"], answered(ear, "snooze")[0]["status"]) == (7, "error")
    cleared = [json.loads(payload) for payload in ear.payloads(f"{NODE}/hall/alert")]
    assert (cleared[0]["level"], cleared[-1]["active"]) == ("none", []), "cleared at the start, and without a camera"


def test_what_is_no_more_leaves_no_trace(broker, run):
    with run(ALL_OF_IT, '"components"') as daemon, Ear(broker.port) as ear:
        ear.wait(f"{NODE}/door/state", timeout_s=START_S)
        ear.wait(f"{NODE}/hall/fatigue", timeout_s=START_S)
        daemon.stop()
    with run(LITTLE, "true") as daemon, Ear(broker.port) as ear:
        wait_for(lambda: DISCOVERY in kinds(ear.heard), START_S, daemon.log)  # the last of what is said at the start
        with Ear(broker.port) as late:
            late.wait(f"{NODE}/hall/status")
            late.say("the/last", "word")
            late.wait("the/last")
            kept = {topic for topic, payload, retained in late.heard if retained and payload}
        daemon.stop()
    assert not [topic for topic in kept if "/door/" in topic or "fatigue" in topic]
    assert {topic_of(topic) for topic in kept if topic.endswith("/config")} == {DISCOVERY}
