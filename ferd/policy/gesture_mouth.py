"""Recognise what mouth and brows do on purpose: a mouth that is opened, a smile, raised brows."""

from __future__ import annotations

from ferd.policy.gesture_eyes import OPEN
from ferd.policy.gesture_face import FaceMeasures
from ferd.policy.gesture_rules import MOST_S, MOUTH_MOST_S, GestureName, GestureRules
from ferd.policy.gesture_windows import UNSEEN_S, Held, HeldStrength, Rest

MOUTH_BEFORE_S = 0.6
"""A mouth that opens on purpose was still for this long: words follow each other sooner."""
MOUTH_CLOSED = 0.2
SMILE_LIPS = 0.2
"""With lips further apart it is a laugh."""


class MouthGestures:
    """Follow the mouth and the brows of a face.

    Attributes:
        strengths: of the last frame, in the units of THRESHOLDS; those that could not be seen are missing.
    """

    def __init__(self) -> None:
        self.strengths: dict[GestureName, float] = {}
        self._rested = False
        self._closed_since: float | None = None
        self._rests = {"width": Rest(), "brows": Rest()}
        self._states: dict[GestureName, Held] = {
            "mouth_open": Held(at_end=True, most_s=MOUTH_MOST_S),
            "smile": Held(at_end=False),
            "brows_up": Held(at_end=True, most_s=MOST_S["brows_up"]),
        }
        self._held: dict[GestureName, HeldStrength] = {name: HeldStrength() for name in self._states}
        self._seen = float("-inf")

    def update(self, t: float, measures: FaceMeasures, rules: GestureRules) -> list[GestureName]:
        """Add a frame and return the gestures that it completed."""
        self.strengths = {}
        if measures.mouth is None or measures.width is None or measures.brows is None:
            if t - self._seen > UNSEEN_S:
                self._forget_movements()
            return []
        self._seen = t
        found: list[GestureName] = []
        lips = measures.mouth * rules.sensitivity
        if lips < MOUTH_CLOSED:
            self._closed_since = t if self._closed_since is None else self._closed_since
            self._rested = t - self._closed_since >= MOUTH_BEFORE_S
        else:
            self._closed_since = None
        self._note(t, "mouth_open", lips, rules)
        opened = lips >= rules.threshold("mouth_open") and self._rested
        if self._states["mouth_open"].update(t, opened, lips < MOUTH_CLOSED, rules.hold("mouth_open")):
            found.append("mouth_open")
        width = self._in_rests(t, "width", measures.width, rules)
        if width is not None:
            laughs = measures.mouth >= SMILE_LIPS
            self._note(t, "smile", 1.0 if laughs else width, rules)
            smiles = width >= rules.threshold("smile") and not laughs
            over = width < rules.over("smile") or laughs
            if self._states["smile"].update(t, smiles, over, rules.hold("smile")):
                found.append("smile")
        brows = self._in_rests(t, "brows", measures.brows, rules)
        # Shut lids draw the corners of the eyes down, and with them what brows are measured from.
        open_eyes = all(value is None or value <= OPEN for value in (measures.right_closed, measures.left_closed))
        still = measures.mouth < MOUTH_CLOSED and open_eyes
        if brows is not None:
            self._note(t, "brows_up", brows if still else 1.0, rules)
            up = brows >= rules.threshold("brows_up") and still
            down = brows < rules.over("brows_up") or not still
            if self._states["brows_up"].update(t, up, down, rules.hold("brows_up")):
                found.append("brows_up")
        return found

    def _note(self, t: float, name: GestureName, value: float, rules: GestureRules) -> None:
        self.strengths[name] = self._held[name].add(t, value, rules.hold(name))

    def _in_rests(self, t: float, key: str, value: float, rules: GestureRules) -> float | None:
        """Return a length in units of its rest; the difference from it counts `sensitivity` times."""
        rest = self._rests[key]
        rest.add(t, value)
        return None if not rest.value else 1 + (value / rest.value - 1) * rules.sensitivity

    def _forget_movements(self) -> None:
        self._closed_since, self._rested = None, False
        for state in self._states.values():
            state.reset()

    def forget(self) -> None:
        """Start again: the next face may be another person's."""
        self._forget_movements()
        self._rests = {key: Rest() for key in self._rests}
        for held in self._held.values():
            held.reset()
