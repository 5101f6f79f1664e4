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
    needs = rules.leave if held == lead else rules.enter
    answer: dict[str, Any] = {"held": held, "lead": lead, "has": round(has, 3), "needs": round(needs, 3)}
    return answer | {"missing": round(max(0.0, needs - has), 3), "text": _text(face, rules, lead, has)}


def _text(face: FaceReading, rules: SmoothingRules, lead: str, has: float) -> str:
    held = face.expression
    if held == lead:
        return (
            f"{held} is told; it is dropped when it stays below {rules.leave:.2f}, "
            f"or when another is {rules.lead:g} times as likely"
        )
    times = face.belief[lead] / max(face.belief[held], 1e-9) if held is not None else rules.lead
    if times < rules.lead:
        return f"{lead} is {times:.2f} times as likely as {held} by all looks; it needs {rules.lead:g} times"
    if has < rules.enter:
        return f"{lead} leads with {has:.2f}; it is told from {rules.enter:.2f} on"
    return f"{lead} leads and must stay ahead for {rules.hold_s:g} s"
