"""Where the examples are, and what a message looks like that makes them act."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples"
FLOW = EXAMPLES / "node-red" / "ferd-flow.json"
AUTOMATIONS = EXAMPLES / "home-assistant" / "automations.yaml"
CARD = EXAMPLES / "home-assistant" / "dashboard-card.yaml"
BLUEPRINTS = EXAMPLES / "home-assistant" / "blueprints"
NODE, CAMERA = "hall-pi", "camera"
"""The names that the examples use."""


def flow_nodes() -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = json.loads(FLOW.read_text())
    return nodes
