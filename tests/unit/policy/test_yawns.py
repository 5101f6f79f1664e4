"""Which closed eyes belong to a yawn or a laugh."""

import pytest

from ferd.policy.yawns import AFTER_S, LEAST_S, MOST_S, TILTED, YawnOrLaugh

STEP = 0.1


def explained(*parts):
    """Seconds that are explained in each part: (seconds, wide) or (seconds, wide, pitch)."""
    mouth, t, found = YawnOrLaugh(), 0.0, []
    for seconds, wide, *pitch in parts:
        steps = round(seconds / STEP)
        found.append(STEP * sum(mouth.add(t + i * STEP, t + (i + 1) * STEP, wide, *pitch) for i in range(steps)))
        t += steps * STEP
    return found


def test_a_yawn_and_half_a_second_after_it():
    assert explained((2, False), (3, True), (3, False)) == pytest.approx([0, 3, AFTER_S], abs=STEP)


def test_a_frame_that_was_misread_explains_itself_only():
    assert explained((1, False), (STEP, True), (1, False)) == pytest.approx([0, STEP, 0])
    assert sum(explained(*[(STEP, True), (0.3, False)] * 3)) <= 3 * STEP + 0.3 + 1e-9 < LEAST_S + 0.3


def test_a_hand_before_the_mouth_for_as_long_as_a_yawn_may_last():
    assert explained((1, True), (20, None)) == pytest.approx([1, MOST_S - 1], abs=2 * STEP)


@pytest.mark.parametrize("tilt", [-TILTED - 1, TILTED + 1])
def test_a_hand_that_reads_as_a_closed_mouth_while_the_head_is_tilted_back(tilt):
    parts = explained((1, True, 3.0), (3, False, 3.0 + tilt))
    assert parts == pytest.approx([1, 3 if tilt < 0 else AFTER_S], abs=STEP)


def test_a_jaw_that_hangs_is_long():
    mouth = YawnOrLaugh()
    for i in range(100):
        mouth.add(i * STEP, (i + 1) * STEP, True)
        assert mouth.is_long == ((i + 1) * STEP > MOST_S + 1e-9)
