"""Send ferd commands, retained values and packets that are made at random: see scripts/fuzz-broker.

A proxy stands between ferd and a real mosquitto. In turns it passes everything on, or damages what the broker says:
bits, lengths, packets that are cut, doubled, invented. Meanwhile a client publishes nonsense to ferd's own topics.
After each round the proxy is honest again, and ferd must be online and answer a request.
"""

from __future__ import annotations

import argparse
import json
import random
import select
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from endurance import HOST, Broker, Ferd, Usage, free_port, table
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

NODE = "fuzz"
ROUND_S = 6.0
BACK_WITHIN_S = 90.0
"""A client that was cut off many times waits up to half a minute before it tries again."""
MAX_GROWTH_MB = 60.0
HANDLED = "internal error, connecting again"
COMMANDS = ("enabled/set", "buzzer/set", "sensitivity/set")
REQUESTS = ("republish", "reload", "snooze", "log_level", "no-such-verb")
OWN = ("status", "info", "health", "camera/status", "camera/state", "camera/alert", "camera/enabled/state")
PACKETS = (0x10, 0x20, 0x30, 0x32, 0x34, 0x40, 0x50, 0x62, 0x70, 0x82, 0x90, 0xA2, 0xB0, 0xC0, 0xD0, 0xE0, 0xF0, 0x00)


class Proxy:
    """Pass bytes between ferd and the broker; ``rng`` None: honestly."""

    def __init__(self, broker_port: int) -> None:
        self.rng: random.Random | None = None
        self.damaged = 0
        self._broker = broker_port
        self._server = socket.create_server((HOST, 0))
        self.port = int(self._server.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            with suppress(OSError):
                ferd, _ = self._server.accept()
                broker = socket.create_connection((HOST, self._broker), timeout=5)
                threading.Thread(target=self._pass, args=(ferd, broker), daemon=True).start()

    def _pass(self, ferd: socket.socket, broker: socket.socket) -> None:
        with ferd, broker, suppress(OSError):
            while True:
                ready, _, _ = select.select([ferd, broker], [], [], 0.2)
                for source, target in ((ferd, broker), (broker, ferd)):
                    if source not in ready:
                        continue
                    data = source.recv(1 << 16)
                    if not data:
                        return
                    rng = self.rng
                    if source is broker and rng is not None and rng.random() < 0.4:
                        self.damaged += 1
                        data = _damaged(data, rng)
                    target.sendall(data)
                rng = self.rng
                if rng is not None and rng.random() < 0.05:
                    self.damaged += 1
                    ferd.sendall(_packet(rng))
                if rng is not None and rng.random() < 0.02:
                    return


def _damaged(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(changed))
        kind = rng.randrange(6)
        if kind == 0:
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            changed[at] = rng.choice((0, 0x7F, 0x80, 0xFF))
        elif kind == 2 and at:
            del changed[at:]
        elif kind == 3:
            changed[at:at] = changed[at:]
        elif kind == 4:
            changed[at:at] = _packet(rng)
        else:
            changed[0] = rng.choice(PACKETS)
    return bytes(changed)


def _packet(rng: random.Random) -> bytes:
    """Invent a packet: a known kind, a length that may be wrong, any content."""
    body = rng.randbytes(rng.choice((0, 1, 2, 5, 20, 200)))
    length = rng.choice((len(body), len(body) + 1, 0, 127, 268_435_455))
    encoded = bytearray()
    while True:
        length, low = divmod(length, 128)
        encoded.append(low | (0x80 if length else 0))
        if not length:
            break
    return bytes([rng.choice(PACKETS)]) + bytes(encoded) + body


def payload(rng: random.Random) -> bytes:
    """Make a payload such as no user would send."""
    return rng.choice((
        lambda: b"",
        lambda: rng.randbytes(rng.choice((1, 10, 1000))),
        lambda: b"\xff\xfe" + b"ON",
        lambda: rng.choice((b"ON", b"OFF", b"on", b"true", b"1", b"null", b"NaN", b"-1e999", b"1" * 400)),
        lambda: json.dumps({"value": rng.choice((None, [], {}, "x" * 5000, 1e308))}).encode(),
        lambda: b"[" * rng.choice((10, 5000, 100_000)),
        lambda: b'{"transaction": ' * 2000,
        lambda: json.dumps({"transaction": rng.choice((1, "\x00", "a" * 70_000)), "reply_to": "#/+"}).encode(),
        lambda: b"x" * rng.choice((70_000, 1_000_000)),
    ))()  # fmt: skip


class Nonsense:
    """A client that publishes nonsense to the topics of ferd."""

    def __init__(self, port: int) -> None:
        self.answers: list[str] = []
        self._client = Client(CallbackAPIVersion.VERSION2, "fuzz-client")
        self._client.on_message = self._receive
        self._client.on_connect = lambda client, *_: client.subscribe(f"ferd/{NODE}/#", 1)
        self.status = ""
        self._client.connect(HOST, port)
        self._client.loop_start()

    def _receive(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        if message.topic == f"ferd/{NODE}/status":
            self.status = message.payload.decode(errors="replace")
        elif message.topic == f"ferd/{NODE}/response/republish":
            self.answers.append(message.payload.decode(errors="replace"))

    def publish(self, rng: random.Random) -> str:
        kind = rng.choice(("command", "request", "own topic", "birth"))
        if kind == "command":
            topic = f"ferd/{NODE}/{rng.choice(('camera', 'nobody', '$SYS'))}/{rng.choice(COMMANDS)}"
        elif kind == "request":
            topic = f"ferd/{NODE}/request/{rng.choice(REQUESTS)}"
        elif kind == "own topic":
            topic = f"ferd/{NODE}/{rng.choice(OWN)}"
        else:
            topic = "homeassistant/status"
        self._client.publish(topic, payload(rng), rng.randrange(3), retain=rng.random() < 0.3)
        return kind

    def asks(self, number: int) -> None:
        self._client.publish(f"ferd/{NODE}/request/republish", json.dumps({"transaction": f"t{number}"}), 1)

    def answered(self, number: int) -> bool:
        return any(f'"t{number}"' in answer for answer in self.answers)

    def clean(self) -> None:
        """Remove what was left on the topics that only ferd writes."""
        for topic in OWN:
            self._client.publish(f"ferd/{NODE}/{topic}", b"", 1, retain=True)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def fuzz(folder: Path, seed: int, minutes: float) -> dict[str, Any]:
    rng = random.Random(seed)
    broker = Broker(folder)
    broker.start()
    proxy = Proxy(broker.port)
    config = folder / "ferd.toml"
    page = free_port()
    config.write_text(
        f'[node]\nname = "{NODE}"\nid = "{NODE}"\n[mqtt]\nhost = "{HOST}"\nport = {proxy.port}\n'
        f'[cameras.camera]\nsource = "demo"\n'
        f"fps = 5\n[web]\nenabled = true\nport = {page}\n"
    )
    ferd = Ferd(folder, config)
    ferd.wait_for("ready")
    client = Nonsense(broker.port)
    sent: Counter[str] = Counter()
    usages: list[Usage] = []
    faults: list[str] = []
    end = time.monotonic() + 60 * minutes
    rounds, slowest = 0, 0.0
    while not faults and (rounds == 0 or time.monotonic() < end):
        rounds += 1
        began = time.monotonic()
        proxy.rng = random.Random(f"{seed}/{rounds}") if rounds % 2 == 0 else None
        while time.monotonic() < began + min(ROUND_S, 30 * minutes):
            sent[client.publish(rng)] += 1
            time.sleep(rng.uniform(0, 0.05))
        proxy.rng = None
        waited = _back(ferd, client, rounds)
        if waited is None:
            faults.append(
                f"round {rounds}: no answer to a request within {BACK_WITHIN_S:g} s, status {client.status!r}"
            )
        slowest = max(slowest, waited or 0.0)
        with suppress(OSError, IndexError):
            usages.append(ferd.usage())
        if not ferd.alive:
            faults.append(f"round {rounds}: ferd ended")
    code = ferd.stop() if ferd.alive else "it ended by itself"
    client.close()
    broker.end()
    grown = usages[-1].rss_mb - usages[0].rss_mb if usages else 0.0
    if grown > MAX_GROWTH_MB:
        faults.append(f"memory grew by {grown:.0f} MB")
    log = ferd.log.read_text(errors="replace")
    # paho raises on packets that break the protocol; ferd then connects again.
    handled = log.count(HANDLED)
    if ferd.tracebacks() > handled:
        faults.append(f"{ferd.tracebacks() - handled} tracebacks in the log")
    if code != 0:
        faults.append(f"exit code {code}")
    lines = log.count("\n")
    return {
        "seed": seed, "rounds": rounds, "sent": dict(sent), "damaged": proxy.damaged,
        "slowest_answer_s": round(slowest, 1), "grown_mb": round(grown, 1), "log_lines": lines,
        "broken_packets": handled, "exit": code, "faults": faults,
    }  # fmt: skip


def _back(ferd: Ferd, client: Nonsense, number: int) -> float | None:
    """Ask until ferd answers; returns the seconds that it took, None when it did not."""
    began = time.monotonic()
    client.clean()
    while ferd.alive and time.monotonic() < began + BACK_WITHIN_S:
        client.asks(number)
        for _ in range(10):
            if client.answered(number):
                return time.monotonic() - began
            time.sleep(0.1)
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description="send ferd nonsense over MQTT; see scripts/fuzz-broker")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--log", type=Path, help="copy ferd's log here")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ferd-fuzz-") as name:
        result = fuzz(Path(name), args.seed, args.minutes)
        if args.log:
            args.log.write_text((Path(name) / "ferd.log").read_text(errors="replace"))
    if args.json:
        print(json.dumps(result))
        return 1 if result["faults"] else 0
    rows = [(key.replace("_", " "), str(value)) for key, value in result.items() if key not in ("faults", "sent")]
    rows += [(f"sent: {key}", str(count)) for key, count in sorted(result["sent"].items())]
    print(table([*rows, ("faults", str(len(result["faults"])))]))
    print("\n".join(f"  {one}" for one in result["faults"]))
    return 1 if result["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
