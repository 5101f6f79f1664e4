"""Figures of detectors and eye readers, on cases that can be counted by hand."""

import math

import pytest

from ferd.types import Box, Face, Landmarks
from ferd.vision import score

POINTS = Landmarks((10, 10), (30, 10), (20, 20), (12, 30), (28, 30))


def face(x=0.0, y=0.0, side=40.0, points=None, sure=1.0):
    return Face(Box(x, y, side, side), points, sure)


def test_a_face_is_found_when_the_boxes_overlap_by_more_than_half():
    true = [face()]
    assert score.faces([([face(x=10)], true)]).recall == 1  # 30 of 50 pixels across: 0.6
    assert score.faces([([face(x=20)], true)]).recall == 0  # a third


def test_small_faces_do_not_count():
    figures = score.faces([([], [face(side=39.9)]), ([face()], [face()])])
    assert figures.recall == 1
    assert figures.faces == 1


def test_the_longer_side_decides():
    assert score.faces([([], [Face(Box(0, 0, 20, 41))])]).faces == 1


def test_one_found_box_counts_for_one_face_only():
    assert score.faces([([face(x=2)], [face(x=0), face(x=4)])]).recall == 0.5


def test_the_best_overlap_is_taken_first():
    found, true = [face(x=8), face(x=1)], [face(x=0)]
    assert score.pairs(found, true) == [(found[1], true[0])]


def test_point_error_is_a_share_of_the_true_width():
    moved = Landmarks(*((x + 3, y + 4) for x, y in POINTS))
    figures = score.faces([([face(points=moved)], [face(points=POINTS)])])
    assert figures.point_error == pytest.approx(5 / 40)


def test_detectors_without_points_have_no_point_error():
    assert math.isnan(score.faces([([face()], [face(points=POINTS)])]).point_error)


def test_nothing_to_find_is_no_recall():
    assert math.isnan(score.faces([]).recall)


def test_false_alarms_are_counted_by_picture():
    assert score.false_alarms_per_picture([[], [face(), face()], [], []]) == 0.5


def test_the_threshold_lets_through_as_many_alarms_as_allowed():
    empty = [[face(sure=0.9)], [face(sure=0.5), face(sure=0.3)], [], []]
    for allowed, expected in ((0, 0), (0.25, 1), (0.5, 2), (1, 3)):
        threshold = score.threshold_for(empty, allowed)
        assert sum(f.score >= threshold for found in empty for f in found) == expected


def test_an_unsure_eye_is_no_answer():
    figures = score.eyes(
        [("open", "open", True), ("open", "closed", False), ("closed", "closed", True), ("closed", None, False)]
    )
    assert figures.accuracy == 1
    assert figures.unsure == 0.5
    assert figures.accuracy_forced == 0.5
    assert figures.recall == {"closed": 1, "open": 1}
    assert figures.n == 4


def test_recall_of_eyes_is_by_true_label():
    figures = score.eyes([("open", "open", True), ("open", "closed", True), ("closed", "closed", True)])
    assert figures.recall == {"closed": 1, "open": 0.5}
    assert figures.accuracy == pytest.approx(2 / 3)


def test_a_line_of_a_label_file_becomes_faces():
    (made,) = score.true_faces({"faces": [{"box": [1, 2, 3, 4], "points": list(range(10)), "score": 0.6}]})
    assert made.box == (1, 2, 3, 4)
    assert made.points.left_eye == (2, 3)


@pytest.mark.parametrize(
    "row", [{}, {"faces": 3}, {"faces": [{"box": [1, 2, 3]}]}, {"faces": [{"box": [1] * 4, "points": [1, 2]}]}]
)
def test_a_malformed_line_is_an_error(row):
    with pytest.raises((KeyError, TypeError, ValueError)):
        score.true_faces(row)
