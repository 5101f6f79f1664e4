"""The driver stays the main face."""

from ferd.policy.primary_face import LARGER_FOR_S, WAIT_S, StickyPrimaryFace
from ferd.types import Box, Face, Track

DRIVER, PASSENGER = Box(200, 100, 120, 120), Box(380, 60, 220, 220)


def track(number, box, t):
    return Track(number, Face(box), 0.0, t)


def test_a_passenger_who_leans_in_is_not_the_driver():
    main = StickyPrimaryFace()
    assert main(0, [track(1, DRIVER, 0)]) == 1
    for i in range(100):
        assert main(i / 10, [track(1, DRIVER, i / 10), track(2, PASSENGER, i / 10)]) == 1


def test_a_driver_hidden_for_a_moment_is_waited_for():
    main = StickyPrimaryFace()
    main(0, [track(1, DRIVER, 0)])
    assert main(3, [track(2, PASSENGER, 3)]) is None
    assert main(4, [track(2, PASSENGER, 4), track(3, Box(230, 110, 120, 120), 4)]) == 3


def test_who_is_left_after_a_while_drives():
    main = StickyPrimaryFace()
    main(0, [track(1, DRIVER, 0)])
    assert main(WAIT_S, [track(2, PASSENGER, WAIT_S)]) == 2


def test_a_passenger_who_was_seen_first_does_not_drive_for_ever():
    main = StickyPrimaryFace()
    small = Box(400, 100, 80, 80)
    main(0, [track(1, small, 0)])
    assert main(1, [track(1, small, 1), track(2, DRIVER, 1)]) == 1
    assert main(1 + LARGER_FOR_S, [track(1, small, 40), track(2, DRIVER, 40)]) == 2


def test_nobody_is_none():
    main = StickyPrimaryFace()
    assert main(0, []) is None
    main(1, [track(1, DRIVER, 1)])
    assert main(2, []) is None
