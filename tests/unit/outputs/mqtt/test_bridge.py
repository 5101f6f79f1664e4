"""examples/mosquitto/bridge.conf between two real brokers: what arrives at the centre, and what comes back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from brokers import LOOPBACK, Ear, Mosquitto, free_port, mosquitto, wait_for
from certificates import Authority

EXAMPLE = (Path(__file__).parents[4] / "examples/mosquitto/bridge.conf").read_text()
NODE, STATE = "ferd/hall-pi", '{"v":1,"expression":"joy"}'


@contextmanager
def site_and_centre(folder: Path) -> Iterator[tuple[Mosquitto, Mosquitto, int]]:
    """Both brokers, and a port of the centre without TLS."""
    authority, plain = Authority(folder), free_port()
    for name in ("site", "centre"):
        (folder / name).mkdir()
    with mosquitto(
        folder / "centre",
        users={"berlin": "SECRET", "boss": "x"},
        tls=authority.sign("centre"),
        acl="user berlin\ntopic write berlin/#\ntopic read berlin/ferd/#\nuser boss\ntopic readwrite #\n",
        more=[f"listener {plain} {LOOPBACK}"],
    ) as centre:
        here = {
            "centre.example:8883": f"{centre.host}:{centre.port}",
            "/etc/mosquitto/certs/centre.pem": str(authority.file),
            "restart_timeout 5 60": "restart_timeout 1",
        }
        text = EXAMPLE
        for theirs, ours in here.items():
            assert theirs in text
            text = text.replace(theirs, ours)
        with mosquitto(folder / "site", more=text.splitlines()) as site:
            yield site, centre, plain


def test_a_site_is_told_to_the_centre_and_commanded_from_there(tmp_path: Path):
    with site_and_centre(tmp_path) as (site, _centre, plain):
        with Ear(site.port) as here, Ear(plain, username="boss", password="x") as there:
            there.wait("berlin/bridge", "1", 20)
            here.say(f"{NODE}/desk/state", STATE, retain=True)
            here.say(f"{NODE}/desk/event", '{"id":"1"}')
            here.say(f"{NODE}/health", "{}", retain=True)
            here.say("homeassistant/device/ferd_0a1b2c/config", "{}", retain=True)
            there.wait(f"berlin/{NODE}/desk/state", STATE)
            there.wait(f"berlin/{NODE}/desk/event", '{"id":"1"}')
            there.say(f"berlin/{NODE}/request/reload", "")
            there.say(f"berlin/{NODE}/desk/enabled/set", "OFF")
            here.wait(f"{NODE}/request/reload", "")
            here.wait(f"{NODE}/desk/enabled/set", "OFF")
        with Ear(plain, "berlin/#", username="boss", password="x") as later:
            later.wait(f"berlin/{NODE}/desk/state", STATE)
            assert {topic for topic, _, retained in later.heard if retained} == {
                "berlin/bridge",
                f"berlin/{NODE}/desk/state",
            }
        assert not [topic for topic, _, _ in there.heard if "health" in topic or "homeassistant" in topic]
        with Ear(plain, username="boss", password="x") as there:
            site.stop()
            there.wait("berlin/bridge", "0")


def test_what_is_said_while_the_line_is_down_arrives_later_in_order(tmp_path: Path):
    with site_and_centre(tmp_path) as (site, centre, plain), Ear(site.port) as here:
        with Ear(plain, username="boss", password="x") as there:
            there.wait("berlin/bridge", "1", 20)
        centre.stop()
        for number in range(50):
            here.say(f"{NODE}/desk/event", str(number))
        site.freeze()
        centre.start()
        with Ear(plain, username="boss", password="x") as there:
            site.thaw()
            wait_for(lambda: len(there.payloads(f"berlin/{NODE}/desk/event")) >= 50, 20)
            assert there.payloads(f"berlin/{NODE}/desk/event") == [str(number) for number in range(50)]
