"""Print what Home Assistant installs at its first start with MQTT, automations, a dashboard and a recorder.

Run it with Home Assistant's own Python. Newer versions load every platform that MQTT supports, and the setup form of
MQTT imports hassio.
"""

from __future__ import annotations

import json
from pathlib import Path

import homeassistant.components
from homeassistant.const import Platform

USED = ("automation", "frontend", "hassio", "history", "logbook", "lovelace", "mqtt", "recorder", "stream")


def main() -> None:
    root = Path(homeassistant.components.__path__[0])
    todo = [*USED, *(platform.value for platform in Platform)]
    done: set[str] = set()
    needed: set[str] = set()
    while todo:
        name = todo.pop()
        manifest = root / name / "manifest.json"
        if name in done or not manifest.exists():
            continue
        done.add(name)
        about = json.loads(manifest.read_text())
        needed.update(about.get("requirements", []))
        todo += about.get("dependencies", [])
    print("\n".join(sorted(needed)))


if __name__ == "__main__":
    main()
