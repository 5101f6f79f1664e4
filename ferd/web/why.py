"""Why a label is told or not: what is held, what leads, and what is missing until it is told. Pure."""

from __future__ import annotations

from typing import Any

from ferd.data import FaceReading
from ferd.mind.smooth import Rules


def why(face: FaceReading, rules: Rules) -> dict[str, Any]:
    """``needs``: what the leading label must reach; ``missing``: by how much it falls short, 0 when it does not."""
    if not face.smooth:
        return {"held": face.expression, "lead": None, "text": "this face was not read yet"}
    lead = max(face.smooth, key=lambda label: face.smooth[label])
    has, held = face.smooth[lead], face.expression
    answer: dict[str, Any] = {"held": held, "lead": lead, "has": round(has, 3)}
    if held == lead:
        return answer | {
            "needs": rules.leave,
            "missing": 0.0,
            "text": f"{held} is told; it is dropped below {rules.leave:.2f} for {rules.hold_s:g} s, "
            f"or when another is {rules.lead:g} times as probable",
        }
    needs = rules.enter if held is None else max(rules.enter, rules.lead * face.smooth[held])
    answer |= {"needs": round(needs, 3), "missing": round(max(0.0, needs - has), 3)}
    if has >= needs:
        return answer | {"text": f"{lead} leads and must stay ahead for {rules.hold_s:g} s"}
    if held is None or needs <= rules.enter:
        return answer | {"text": f"{lead} leads with {has:.2f}; it is told from {rules.enter:.2f} on"}
    return answer | {
        "text": f"{lead} leads with {has:.2f}; against {held} it needs {needs:.2f}, {rules.lead:g} times as much"
    }
