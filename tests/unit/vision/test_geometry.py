"""How far a head is tilted, by its five points."""

import cmath
import math

import pytest

from ferd.types import Landmarks
from ferd.vision.geometry import roll

UPRIGHT = Landmarks((100, 100), (160, 100), (130, 130), (105, 155), (155, 155))


def turned(points, degrees):
    turn = cmath.rect(1, math.radians(degrees))
    moved = [complex(*point) * turn for point in points]
    return Landmarks(*((z.real, z.imag) for z in moved))


@pytest.mark.parametrize("degrees", [-170, -90, -30, 0, 15, 60, 120])
def test_the_tilt_of_a_turned_head(degrees):
    assert math.degrees(roll(turned(UPRIGHT, degrees))) == pytest.approx(degrees, abs=0.01)


def test_a_profile_is_told_by_the_way_to_the_mouth():
    profile = UPRIGHT._replace(left_eye=(100.0, 101.0), mouth_left=(105.0, 155.0))
    assert abs(math.degrees(roll(profile))) < 8


def test_points_in_one_place_are_upright():
    assert roll(Landmarks(*[(5.0, 5.0)] * 5)) == 0
