"""A cluster loses its quorum: one broker is gone, the other one accepts connections and serves nobody.

ferd goes on locally: the buzzer, the page and the persisted events. It says so once, and afterwards everything arrives.
"""

from __future__ import annotations

import json
import select
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
from brokers import Ear, free_port, mosquitto, wait_for
from test_buzzer_stories import START_S, Car
from test_store_and_forward import on_disk, told

BACK_S = 90.0
"""The pauses between the attempts and the waits for an answer grow while nobody answers."""


class Gateway:
    """A broker's port that can lose its quorum: it ends its connections, and answers no new one."""

    def __init__(self, behind: int) -> None:
        self._behind = behind
        self._has_quorum = threading.Event()
        self._has_quorum.set()
        self._stopping = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.unanswered = 0
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def lose_quorum(self) -> None:
        self._has_quorum.clear()

    def regain_quorum(self) -> None:
        self._has_quorum.set()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._server.close()

    def _accept(self) -> None:
        self._server.settimeout(0.1)
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                line, _ = self._server.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(line,)))
                self._threads[-1].start()

    def _serve(self, line: socket.socket) -> None:
        with line, suppress(OSError):
            if self._has_quorum.is_set():
                self._relay(line)
            else:
                self.unanswered += 1
                while not self._has_quorum.is_set() and not self._stopping.is_set():
                    if select.select([line], [], [], 0.1)[0] and not line.recv(4096):
                        return

    def _relay(self, line: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self._behind)) as broker:
            while self._has_quorum.is_set() and not self._stopping.is_set():
                for ready in select.select([line, broker], [], [], 0.1)[0]:
                    if not (data := ready.recv(4096)):
                        return
                    (broker if ready is line else line).sendall(data)


@contextmanager
def gateway(behind: int) -> Iterator[Gateway]:
    it = Gateway(behind)
    try:
        yield it
    finally:
        it.stop()


def kinds(log: str) -> Counter[str]:
    """How often each kind of line about the connection is in the log."""
    lines = (line.partition("ferd.outputs.mqtt.client: ")[2] for line in log.splitlines())
    return Counter(line.partition(" host=")[0] for line in lines if " host=" in line)


def test_without_a_quorum_ferd_goes_on_alone_and_loses_nothing(tmp_path: Path) -> None:
    car, page = Car(tmp_path), free_port()
    with mosquitto(tmp_path) as broker, gateway(broker.port) as cluster, Ear(broker.port) as ear:
        car.config.write_text(
            f"{car.config.read_text()}\n[mqtt]\npersist_events = true\n"
            f'hosts = ["127.0.0.1:{cluster.port}", "127.0.0.1:{free_port()}"]\n[web]\nenabled = true\nport = {page}\n'
        )

        def state() -> dict[str, object]:
            try:
                return dict(httpx.get(f"http://127.0.0.1:{page}/api/state", timeout=10).json()["broker"])
            except httpx.ConnectError:  # the page starts after the camera
                return {"connected": None}

        with car.drive() as daemon:
            wait_for(lambda: car.watching == ["on"], START_S, daemon.log)
            ear.wait("ferd/test-pi/status", "online", START_S)
            wait_for(lambda: state()["connected"], START_S)
            told_before = kinds(daemon.log)

            cluster.lose_quorum()
            wait_for(lambda: state()["connected"] is False, START_S, daemon.log)
            for count in (1, 2):
                car.alert("fatigue alarm default")
                wait_for(lambda count=count: car.sounds.count("on") == count, 10, daemon.log)
                car.alert()
                wait_for(lambda count=count: car.sounds.count("off") == count, 10, daemon.log)
            alarms = ["alert_began", "alert_ended"] * 2

            def kept() -> list[dict[str, object]]:
                return [it for it in on_disk(tmp_path) if str(it["event_type"]).startswith("alert")]

            wait_for(lambda: [it["event_type"] for it in kept()] == alarms, START_S, str(on_disk(tmp_path)))
            wait_for(lambda: cluster.unanswered >= 3, BACK_S, "it tries again and again")
            assert int(str(state()["waiting"])) >= len(alarms)
            assert not [it for it in told(ear) if str(it["event_type"]).startswith("alert")]
            said = kinds(daemon.log) - told_before
            assert said["lost"] == 1
            assert max(said.values()) == 1, f"each kind of trouble is logged once: {said}"
            ids = [it["id"] for it in kept()]

            cluster.regain_quorum()
            wait_for(lambda: set(ids) <= {it["id"] for it in told(ear)}, BACK_S, daemon.log)
            wait_for(lambda: state()["connected"], START_S)
            arrived = [it for it in told(ear) if it["id"] in ids]
            assert [it["id"] for it in arrived] == ids, "in order, each once"
            assert all(it["late"] for it in arrived)
            moments = [it["at"] for it in told(ear)]
            assert moments == sorted(moments), "with their own time"
            wait_for(lambda: on_disk(tmp_path) == [], START_S, "what the broker has is forgotten")
            assert json.loads(ear.wait("ferd/test-pi/camera/alert"))["level"] == "none"
            assert (kinds(daemon.log) - told_before)["connected"] == 1
            assert daemon.stop() == 0
