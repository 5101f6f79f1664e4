"""Where the examples are, and what a message looks like that makes them act."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples"
FLOW = EXAMPLES / "node-red" / "ferd-flow.json"
HOME_ASSISTANT = EXAMPLES / "home-assistant"
AUTOMATIONS = HOME_ASSISTANT / "automations.yaml"
CARD = HOME_ASSISTANT / "dashboard-card.yaml"
TEMPLATE = HOME_ASSISTANT / "template.yaml"
BLUEPRINTS = HOME_ASSISTANT / "blueprints" / "automation" / "ferd"
BLUEPRINT, GESTURE_BLUEPRINT = BLUEPRINTS / "expression.yaml", BLUEPRINTS / "gesture.yaml"
NODE, CAMERA = "hall-pi", "camera"
"""The names that the examples use."""


def flow_nodes() -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = json.loads(FLOW.read_text())
    return nodes
