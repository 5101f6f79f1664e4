"""Why a label is told or not: what is held, what leads, and what is missing until it is told. Pure."""

from __future__ import annotations

from typing import Any

from ferd.policy.smoothing import SmoothingRules
from ferd.types import FaceReading


def why(face: FaceReading, rules: SmoothingRules) -> dict[str, Any]:
    """``needs``: the probability that the leading label must reach; ``missing``: by how much it falls short."""
    if not face.belief:
        return {"held": face.expression, "lead": None, "text": "this face was not read yet"}
    lead = max(face.belief, key=lambda label: face.belief[label])
    has, held = face.smooth[lead], face.expression
    needs = rules.off_threshold if held == lead else rules.on_threshold
    answer: dict[str, Any] = {"held": held, "lead": lead, "has": round(has, 3), "needs": round(needs, 3)}
    return answer | {"missing": round(max(0.0, needs - has), 3), "text": _text(face, rules, lead, has)}


def _text(face: FaceReading, rules: SmoothingRules, lead: str, has: float) -> str:
    held = face.expression
    if held == lead:
        return (
            f"{held} is told; it is dropped when it stays below {rules.off_threshold:.2f}, "
            f"or when another is {rules.switch_ratio:g} times as likely"
        )
    times = face.belief[lead] / max(face.belief[held], 1e-9) if held is not None else rules.switch_ratio
    if times < rules.switch_ratio:
        return f"{lead} is {times:.2f} times as likely as {held} by all looks; it needs {rules.switch_ratio:g} times"
    if has < rules.on_threshold:
        return f"{lead} leads with {has:.2f}; it is told from {rules.on_threshold:.2f} on"
    return f"{lead} leads and must stay ahead for {rules.min_hold_s:g} s"
