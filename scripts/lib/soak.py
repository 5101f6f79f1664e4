"""Run ferd under disturbances and check what a subscriber receives: see scripts/soak.

What should be published is known twice. From the cameras, which this script plays: somebody is there, or nobody; a rule
makes an alert of an empty room, which must begin and end once, whatever happens to the broker, the page and the
configuration meanwhile. And from the page, which lists the events that ferd made: each of them must arrive. So an alert
that was never made (nobody was found in time) is distinguished from one that was lost on its way. At quiet moments the
broker's retained values are compared with the page's.
"""

from __future__ import annotations

import argparse
import http.server
import json
import random
import signal
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from endurance import HOST, STARTS_S, Broker, Ferd, Usage, free_port, get_json, growth, table
from numpy.typing import NDArray
from page_viewers import connect
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ferd.sources.demo import render

NODE = "soak"
CAMERAS = ("hall", "desk")
FPS = 5.0
FOR_S = 1.5
"""An empty room is an alert after this long."""
PRESENT_S, EMPTY_S = (5.0, 12.0), (5.0, 9.0)
SHORTEST = 0.6
"""Of these lengths, in a run of half a minute: else nothing happens between two disturbances."""
LATE_S = 4.0
"""An alert begins and ends within this time of what the camera shows, on a busy machine."""
SETTLES_S = 12.0
"""From the end of a disturbance until everything is published: the client reconnects after 1 to 8 s."""
DELIVERED_S = 90.0
"""At the end, alerts that wait in ferd's journal have this long: the longest pause between two connects is 60 s."""
USAGE_EVERY_S = 2.0
KILL_S = 2.0
"""mosquitto saves its sessions every second: an alert of this time before a kill cannot be blamed on ferd."""
LEAST_FPS = 2.0
"""Fewer pictures a second than this are analysed only when a camera is off, or the machine overloaded."""
MAX_GROWTH = {"rss_mb": 20.0, "descriptors": 6.0, "threads": 4.0}


@dataclass(slots=True)
class Phase:
    """What a camera showed, from ``begin`` to ``end`` (seconds since 1970). ``disturbed``: it was off or reopened."""

    present: bool
    begin: float
    end: float = float("inf")
    disturbed: bool = False


class Camera:
    """A network camera (MJPEG over HTTP) that shows somebody and nobody in turns."""

    def __init__(self, seed: str, pictures: dict[bool, list[NDArray[np.uint8]]], pace: float = 1.0) -> None:
        self.phases: list[Phase] = []
        self._pictures, self._rng, self._pace = pictures, random.Random(seed), pace
        self._gone, self._stopping = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        camera = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                grain = np.random.default_rng()
                noise = grain.integers(0, 9, (600, 800, 1), np.uint8)
                while not camera._gone.is_set():
                    pictures = camera._pictures[camera.present]
                    top, left, number = (int(n) for n in grain.integers(0, (100, 150, len(pictures))))
                    image = cv2.add(pictures[number], np.repeat(noise[top : top + 480, left : left + 640], 3, axis=2))
                    data = cv2.imencode(".jpg", image)[1].tobytes()
                    head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data)
                    try:
                        self.wfile.write(head + data + b"\r\n")
                    except OSError:
                        return
                    time.sleep(1 / FPS)

            def log_message(self, *_arguments: object) -> None: ...

        self._server = http.server.ThreadingHTTPServer((HOST, 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://{HOST}:{self._server.server_address[1]}/stream"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        threading.Thread(target=self._play, daemon=True).start()

    @property
    def present(self) -> bool:
        return not self.phases or self.phases[-1].present

    def _play(self) -> None:
        present = True
        while not self._stopping.is_set():
            now = time.time()
            with self._lock:
                if self.phases:
                    self.phases[-1].end = now
                self.phases.append(Phase(present, now))
            self._stopping.wait(self._pace * self._rng.uniform(*(PRESENT_S if present else EMPTY_S)))
            present = not present

    def disturb(self) -> None:
        """Expect nothing of this phase: the camera is closed in it, or opened again."""
        with self._lock:
            for phase in self.phases[-1:]:
                phase.disturbed = True

    def unplug(self, seconds: float) -> None:
        self._gone.set()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.disturb()
            time.sleep(0.1)
        self._gone.clear()

    def close(self) -> None:
        self._stopping.set()
        self._gone.set()
        self._server.shutdown()


class Subscriber:
    """Receive everything, in a session that the broker keeps."""

    def __init__(self, port: int) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.messages = 0
        self._client = Client(CallbackAPIVersion.VERSION2, "soak-subscriber", protocol=MQTTProtocolVersion.MQTTv5)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe("ferd/#", 1)
        self._client.on_message = self._receive
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 1 << 30
        self._client.connect(HOST, port, keepalive=10, clean_start=False, properties=properties)
        self._client.loop_start()

    def send(self, topic: str, payload: str) -> None:
        self._client.publish(f"ferd/{NODE}/{topic}", payload, 1)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _receive(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        self.messages += 1
        if message.topic.endswith("/event"):
            with suppress(ValueError):
                self.events.append((message.topic.split("/")[2], json.loads(message.payload)))


def retained(port: int) -> dict[str, str]:
    """Return the retained values of the node, as a new subscriber receives them."""
    values: dict[str, str] = {}
    client = Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _c, _u, m: values.__setitem__(m.topic, m.payload.decode(errors="replace"))
    client.connect(HOST, port)
    client.loop_start()
    client.subscribe(f"ferd/{NODE}/#", 1)
    time.sleep(1.0)
    client.disconnect()
    client.loop_stop()
    return values


@dataclass(slots=True)
class Tally:
    """What was done and found."""

    done: Counter[str] = field(default_factory=Counter)
    usages: list[Usage] = field(default_factory=list)
    compared: int = 0
    wrong_values: list[str] = field(default_factory=list)
    starved: int = 0
    kills: list[float] = field(default_factory=list)
    made: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    page_failures: list[str] = field(default_factory=list)


class Soak:
    """One run: ferd, its broker and cameras, and what happens to them."""

    def __init__(self, folder: Path, seed: int, seconds: float) -> None:
        self.folder, self.rng, self.tally = folder, random.Random(seed), Tally()
        self.seconds, self.page = seconds, free_port()
        self._brisk = min(1.0, seconds / 300)
        """Disturbances of a short run are short."""
        pictures = {True: _pictures(0.5, 3.0), False: _pictures(34.5, 37.5)}
        self.cameras = {name: Camera(f"{seed}/{name}", pictures, max(self._brisk, SHORTEST)) for name in CAMERAS}
        self.broker = Broker(folder)
        self.broker.start()
        self.subscriber = Subscriber(self.broker.port)
        self.config = folder / "ferd.toml"
        self._threshold = 0.4
        self._write_config()
        self.ferd = Ferd(folder, self.config)
        self.ferd.wait_for("ready")
        self._wait_for_cameras()
        self._stopping = threading.Event()
        threading.Thread(target=self._measure, daemon=True).start()

    def _write_config(self) -> None:
        cameras = "".join(f'[cameras.{n}]\nsource = "{c.url}"\nfps = {FPS:g}\n' for n, c in self.cameras.items())
        self.config.write_text(
            f'[node]\nname = "{NODE}"\nid = "{NODE}"\n'
            f'[mqtt]\nhost = "{HOST}"\nport = {self.broker.port}\npersist_events = true\n'
            f"[web]\nenabled = true\nport = {self.page}\n[fatigue]\nenabled = true\n"
            f"[smoothing]\non_threshold = {self._threshold}\n{cameras}"
            f'[[alerts]]\nname = "empty"\nfaces = "absent"\nfor_s = {FOR_S}\ncooldown_s = 0\n'
        )

    def _wait_for_cameras(self) -> None:
        end = time.monotonic() + STARTS_S
        while time.monotonic() < end:
            with suppress(OSError, ValueError):
                if all(camera["frames"] > 5 for camera in self._state()["cameras"]):
                    return
            time.sleep(0.3)
        sys.exit(f"the cameras give no frames:\n{self.ferd.log.read_text()[-3000:]}")

    def _state(self) -> Any:
        return get_json(f"http://{HOST}:{self.page}/api/state")

    def _measure(self) -> None:
        before: dict[str, tuple[float, int]] = {}
        while not self._stopping.wait(min(USAGE_EVERY_S, self.seconds / 40)):
            with suppress(OSError, IndexError):
                self.tally.usages.append(self.ferd.usage())
            with suppress(OSError, ValueError):
                before = self._note_starved(before)
            self._note_made()

    def _note_made(self) -> None:
        """Note the alerts that the page lists: those that ferd handed to its outputs."""
        for name in CAMERAS:
            with suppress(OSError, ValueError):
                events = get_json(f"http://{HOST}:{self.page}/api/cameras/{name}/history")["events"]
                alerts = [event for event in events if event.get("name") == "empty"]
                self.tally.made |= {event["id"]: (name, event) for event in alerts}

    def _note_starved(self, before: dict[str, tuple[float, int]]) -> dict[str, tuple[float, int]]:
        """Expect nothing of a camera while the machine is too busy to analyse its pictures; returns the new counts."""
        counts = {camera["name"]: (time.monotonic(), int(camera["frames"])) for camera in self._state()["cameras"]}
        for name, (at, frames) in counts.items():
            was_at, was = before.get(name, (at, frames))
            if at > was_at and (frames - was) / (at - was_at) < LEAST_FPS:
                self.tally.starved += 1
                self.cameras[name].disturb()
        return counts

    def run(self) -> dict[str, Any]:
        """Disturb until the time is over, let it settle, and judge."""
        began = time.time()
        for camera in self.cameras.values():
            camera.disturb()  # what was on before ferd was ready
        end = time.monotonic() + self.seconds
        next_check = time.monotonic() + 60
        while time.monotonic() < end and self.ferd.alive:
            name = self.rng.choice(tuple(DISTURBANCES))
            self.tally.done[name] += 1
            DISTURBANCES[name](self)
            time.sleep(self.rng.uniform(1.0, 8.0) * max(self._brisk, 0.2))
            if time.monotonic() > next_check:
                self.compare()
                next_check = time.monotonic() + 60
        self.compare()
        ended = time.time()
        time.sleep(LATE_S)
        self._await_delivery()
        self._stopping.set()
        code = self.ferd.stop()
        self.subscriber.close()
        for camera in self.cameras.values():
            camera.close()
        self.broker.end()
        return self.judge(began, ended, code)

    def _await_delivery(self) -> None:
        """Wait for what ferd still holds: after many short connections it tries again less often."""
        end = time.monotonic() + DELIVERED_S
        self._note_made()
        while self._missing() and time.monotonic() < end:
            time.sleep(1.0)

    def _missing(self) -> set[str]:
        """Return the ids of alerts that ferd made and the subscriber has not received."""
        return self.tally.made.keys() - {event.get("id") for _, event in list(self.subscriber.events)}

    # ---- disturbances ----

    def kill_broker(self) -> None:
        self.tally.kills.append(time.time())
        self.broker.end(signal.SIGKILL)
        time.sleep(self.rng.uniform(0, 15) * self._brisk)
        self.broker.start()

    def restart_broker(self) -> None:
        self.broker.end()
        time.sleep(self.rng.uniform(0, 3) * self._brisk)
        self.broker.start()

    def freeze_broker(self) -> None:
        self.broker.freeze()
        time.sleep(self.rng.uniform(1, 30) * self._brisk)
        self.broker.thaw()

    def reload(self) -> None:
        self._threshold = self.rng.choice((0.35, 0.4, 0.45))
        self._write_config()
        self.ferd.signal(signal.SIGHUP)

    def wrong_reload(self) -> None:
        self.config.write_text("[nonsense]\nx = 1\n")
        self.ferd.signal(signal.SIGHUP)
        time.sleep(1.0)
        self._write_config()

    def switch(self) -> None:
        camera, value = self.rng.choice(CAMERAS), self.rng.choice(("ON", "OFF"))
        self.subscriber.send(f"{camera}/buzzer/set", value)
        self.subscriber.send(f"{camera}/sensitivity/set", str(self.rng.randrange(10, 91)))

    def camera_off_and_on(self) -> None:
        name = self.rng.choice(CAMERAS)
        for value in (False, True):
            end = time.monotonic() + self.rng.uniform(1, 4) * max(self._brisk, 0.3)
            self._set_enabled(name, value)
            while time.monotonic() < end:
                self.cameras[name].disturb()
                time.sleep(0.1)
        self._wait_until_online(name)

    def unplug(self) -> None:
        name = self.rng.choice(CAMERAS)
        self.cameras[name].unplug(self.rng.uniform(0.5, 8) * max(self._brisk, 0.2))
        self._wait_until_online(name)

    def _set_enabled(self, name: str, value: bool) -> None:
        body = json.dumps({"value": value}).encode()
        headers = {"Content-Type": "application/json", "Origin": f"http://{HOST}:{self.page}"}
        url = f"http://{HOST}:{self.page}/api/cameras/{name}/enabled"
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=10) as answer:
            answer.read()

    def _wait_until_online(self, name: str) -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            self.cameras[name].disturb()
            with suppress(OSError, ValueError):
                if next(c for c in self._state()["cameras"] if c["name"] == name)["status"] == "online":
                    break
            time.sleep(0.2)
        time.sleep(0.5)
        self.cameras[name].disturb()

    def visit_page(self) -> None:
        for path in ("/", "/api/state", "/metrics", "/healthz", f"/api/cameras/{CAMERAS[0]}/history", "/no-such-page"):
            try:
                with urllib.request.urlopen(f"http://{HOST}:{self.page}{path}", timeout=20) as answer:
                    answer.read()
            except OSError as error:
                if path != "/no-such-page":
                    self.tally.page_failures.append(f"{path}: {error}")
        viewers = []
        for camera in CAMERAS:
            with suppress(OSError):
                viewers.append(connect(self.page, f"/api/live?camera={camera}"))
        time.sleep(self.rng.uniform(0, 3) * self._brisk)
        for viewer in viewers:
            viewer.close()

    # ---- judgement ----

    def compare(self) -> None:
        """Compare the broker's retained values with what the page says, once everything has settled."""
        end = time.monotonic() + 3 * SETTLES_S
        differences = ["not compared"]
        while time.monotonic() < end and differences:
            time.sleep(2.0)
            try:
                before, values, after = self._state(), retained(self.broker.port), self._state()
            except OSError as error:
                differences = [str(error)]
                continue
            differences = list(_differences(before, values, after))
        self.tally.compared += 1
        self.tally.wrong_values += differences

    def judge(self, began: float, ended: float, code: int | str) -> dict[str, Any]:
        missed, expected, doubled = [], 0, 0
        received = {event["id"]: (where, event) for where, event in self.subscriber.events if "id" in event}
        seen = list({**self.tally.made, **received}.values())
        for name, camera in self.cameras.items():
            alerts = [event for where, event in seen if where == name and event.get("name") == "empty"]
            moments = {
                kind: sorted(_moment(event) for event in alerts if event["event_type"] == kind)
                for kind in ("alert_began", "alert_ended")
            }
            for before, phase, after in zip(camera.phases, camera.phases[1:], camera.phases[2:], strict=False):
                if phase.present or any(one.disturbed for one in (before, phase, after)):
                    continue
                if before.begin < began or after.end > ended:
                    continue
                for kind, low, high in (
                    ("alert_began", phase.begin, min(phase.end + 0.5, phase.begin + FOR_S + LATE_S)),
                    ("alert_ended", phase.end, phase.end + LATE_S),
                ):
                    expected += 1
                    found = sum(low <= moment <= high for moment in moments[kind])
                    doubled += max(0, found - 1)
                    if not found:
                        missed.append(f"{name}: {kind} of {datetime.fromtimestamp(phase.begin):%H:%M:%S}")
        lost, unclear = self._lost(set(received), ended)
        usages = self.tally.usages
        grown = {name: round(growth(usages, name), 1) for name in MAX_GROWTH}
        return {
            "seconds": round(ended - began), "done": dict(self.tally.done), "messages": self.subscriber.messages,
            "alerts_expected": expected, "alerts_missed": missed, "alerts_doubled": doubled,
            "alerts_made": len(self.tally.made), "alerts_lost": lost, "alerts_unclear": unclear,
            "starved": self.tally.starved, "compared": self.tally.compared, "wrong_values": self.tally.wrong_values,
            "page_failures": self.tally.page_failures, "grown": grown,
            "usage": {name: [getattr(one, name) for one in (usages[0], usages[-1])] for name in MAX_GROWTH if usages},
            "tracebacks": self.ferd.tracebacks(), "exit": code,
        }  # fmt: skip

    def _lost(self, received: set[str], ended: float) -> tuple[list[str], list[str]]:
        """Return what ferd made and nobody received: lost, and what the broker's death explains."""
        lost, unclear = [], []
        for identity, (name, event) in self.tally.made.items():
            made = float(event["told_at"])
            if identity in received or made > ended:
                continue
            # What a broker acknowledged just before a kill it may never have passed on.
            killed = any(0 <= kill - made <= KILL_S for kill in self.tally.kills)
            which = f"{name}: {event['event_type']} {identity} of {datetime.fromtimestamp(made):%H:%M:%S}"
            (unclear if killed else lost).append(which)
        return lost, unclear


DISTURBANCES = {
    "broker killed": Soak.kill_broker,
    "broker restarted": Soak.restart_broker,
    "broker frozen": Soak.freeze_broker,
    "configuration reloaded": Soak.reload,
    "wrong configuration": Soak.wrong_reload,
    "switches set": Soak.switch,
    "camera off and on": Soak.camera_off_and_on,
    "camera unplugged": Soak.unplug,
    "page visited": Soak.visit_page,
}


def _pictures(begin: float, end: float) -> list[NDArray[np.uint8]]:
    """Return pictures of the demo scene. Each is sent with other noise: a ring of them would count as frozen."""
    count = round((end - begin) * FPS)
    return [np.asarray(render(begin + n / FPS).image, np.uint8) for n in range(count)]


def _moment(event: dict[str, Any]) -> float:
    return datetime.fromisoformat(event["at"]).timestamp()


def _differences(before: Any, values: dict[str, str], after: Any) -> list[str]:
    """Compare what the page says before and after with the retained values between; what changes is skipped."""
    found = []
    if values.get(f"ferd/{NODE}/status") != "online":
        found.append(f"status is {values.get(f'ferd/{NODE}/status')}")
    for old, new in zip(before["cameras"], after["cameras"], strict=True):
        name = new["name"]
        if old["status"] != new["status"]:
            found.append(f"{name} is changing")
        elif values.get(f"ferd/{NODE}/{name}/status") != new["status"]:
            found.append(f"{name}/status is {values.get(f'ferd/{NODE}/{name}/status')}, not {new['status']}")
        for switch, wanted in (
            ("enabled", "ON" if new["enabled"] else "OFF"),
            ("buzzer", "ON" if new["buzzer"] else "OFF"),
            ("sensitivity", f"{new['sensitivity']:g}"),
        ):
            published = values.get(f"ferd/{NODE}/{name}/{switch}/state")
            if published is not None and published != wanted:
                found.append(f"{name}/{switch} is {published}, not {wanted}")
    return found


def faults(result: dict[str, Any]) -> list[str]:
    """Return what is wrong with a result, in words."""
    found = [f"alert lost: {one}" for one in result["alerts_lost"]]
    found += [f"alert not made in time: {one}" for one in result["alerts_missed"]]
    found += [f"last value: {one}" for one in result["wrong_values"]]
    found += [f"page: {one}" for one in result["page_failures"]]
    found += [f"{name} grew by {by}" for name, by in result["grown"].items() if by > MAX_GROWTH[name]]
    if result["alerts_doubled"]:
        found.append(f"{result['alerts_doubled']} alerts came twice under different ids")
    if result["tracebacks"]:
        found.append(f"{result['tracebacks']} tracebacks in the log")
    return [*found, f"exit code {result['exit']}"] if result["exit"] != 0 else found


def main() -> int:
    parser = argparse.ArgumentParser(description="run ferd under disturbances; see scripts/soak")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--log", type=Path, help="copy ferd's log here")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ferd-soak-") as name:
        soak = Soak(Path(name), args.seed, 60 * args.minutes)
        result = soak.run()
        if args.log:
            args.log.write_text(soak.ferd.log.read_text(errors="replace"))
    wrong = faults(result)
    if args.json:
        print(json.dumps(result | {"faults": wrong}))
        return 1 if wrong else 0
    rows = [("seed, seconds", f"{args.seed}, {result['seconds']}")]
    rows += [(name, str(count)) for name, count in sorted(result["done"].items())]
    rows += [("messages received", str(result["messages"]))]
    rows += [
        (
            "alerts expected, not made in time, doubled",
            f"{result['alerts_expected']}, {len(result['alerts_missed'])}, {result['alerts_doubled']}",
        )
    ]
    rows += [("alerts made, lost", f"{result['alerts_made']}, {len(result['alerts_lost'])}")]
    rows += [("last values compared, wrong", f"{result['compared']}, {len(result['wrong_values'])}")]
    rows += [(f"not received, made up to {KILL_S:g} s before a kill of the broker", str(len(result["alerts_unclear"])))]
    rows += [("moments without pictures", str(result["starved"]))]
    for key, values in result["usage"].items():
        rows.append((f"{key}: first, last, growth", f"{values[0]:.0f}, {values[1]:.0f}, {result['grown'][key]:+.1f}"))
    rows += [("tracebacks, exit code", f"{result['tracebacks']}, {result['exit']}"), ("faults", str(len(wrong)))]
    print(table(rows))
    print("\n".join(f"  {one}" for one in wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
