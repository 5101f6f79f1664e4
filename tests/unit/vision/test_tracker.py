"""Tracks earn their existence, survive a gap, and the main face does not flip."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferd.types import Box, Face
from ferd.vision.tracker import EARN_S, GAP_S, LARGER_FOR_S, PrimaryFace, Tracker


def face(x=100, size=80):
    return Face(Box(x, 100, size, size))


def follow(frames):
    """[(t, faces)] -> the track ids given at each time."""
    tracker = Tracker()
    return [(t, [track.id for track in tracker(t, faces)]) for t, faces in frames]


def test_a_single_slip_of_the_detector_is_never_heard_of():
    frames = [(i / 10, [face()] if i == 5 else []) for i in range(30)]
    assert all(ids == [] for _, ids in follow(frames))


def test_an_unsure_detection_continues_a_track_but_never_begins_one():
    def seen(score):
        return Face(Box(100, 100, 80, 80), None, score)

    assert all(ids == [] for _, ids in follow([(i / 10, [seen(0.6)]) for i in range(30)]))
    frames = [(i / 10, [seen(0.9 if i < 10 else 0.6)]) for i in range(30)]
    assert all(ids == [1] for t, ids in follow(frames) if t >= 1)


def test_slips_in_one_place_now_and_then_do_not_add_up():
    frames = [(i / 10, [face()] if i % 4 == 0 else []) for i in range(200)]
    assert all(ids == [] for _, ids in follow(frames))


@pytest.mark.parametrize("fps", [3, 10, 30])
def test_a_face_is_followed_from_the_moment_it_has_earned_it(fps):
    seen = follow([(i / fps, [face()]) for i in range(3 * fps)])
    first = next(t for t, ids in seen if ids)
    assert EARN_S <= first + 1e-9 <= EARN_S + 1 / fps + 1e-9
    assert {tuple(ids) for t, ids in seen if t >= first} == {(1,)}


def test_a_gap_keeps_the_track_and_its_number():
    frames = [(i / 10, [] if 20 <= i < 24 else [face()]) for i in range(40)]
    assert all(ids == [1] for t, ids in follow(frames) if t >= EARN_S + 0.1)


def test_after_a_long_gap_it_is_another_track():
    frames = [(i / 10, [] if 20 <= i < 30 else [face()]) for i in range(50)]
    seen = dict(follow(frames))
    assert seen[1.9] == [1]
    assert seen[2.0 + GAP_S + 0.1] == []
    assert seen[4.9] == [2]


def test_two_faces_that_move_keep_their_numbers():
    tracker = Tracker()
    for i in range(60):
        left, right = face(100 + 2 * i), face(400 - 2 * i, 90)
        tracks = tracker(i / 15, [right, left] if i % 2 else [left, right])
    assert [(track.id, track.face.box.w) for track in tracks] in ([(1, 80), (2, 90)], [(1, 90), (2, 80)])


@given(st.lists(st.lists(st.tuples(st.floats(0, 500), st.floats(20, 200)), max_size=4), max_size=40))
def test_numbers_are_never_used_twice_and_each_face_has_one_track(scene):
    tracker, gone, before = Tracker(), set(), set()
    for i, boxes in enumerate(scene):
        tracks = tracker(i / 10, [face(x, size) for x, size in boxes])
        ids = {track.id for track in tracks}
        assert len(ids) == len(tracks)
        assert not ids & gone
        gone |= before - ids
        before = ids


def main_faces(sizes, fps=10):
    """For each frame the two sizes of two people far apart -> the main track's size rank."""
    tracker, main = Tracker(), PrimaryFace()
    told = []
    for i, (a, b) in enumerate(sizes):
        tracks = tracker(i / fps, [face(50, a), face(400, b)])
        number = main(i / fps, tracks)
        told.append(next((t.face.box.x for t in tracks if t.id == number), None))
    return told


def test_the_main_face_does_not_flip_between_two_of_similar_size():
    sizes = [(100, 100)] * 5 + [(100, 110), (110, 100)] * 50
    assert len(set(main_faces(sizes)[5:])) == 1


def test_a_clearly_larger_face_takes_over_but_not_at_once():
    told = main_faces([(100, 60)] * 20 + [(100, 160)] * 20)
    assert told[19] == 50
    assert told[20 + int(LARGER_FOR_S * 10) - 2] == 50
    assert told[39] == 400


def test_when_the_main_face_leaves_the_next_one_is_taken():
    tracker, main = Tracker(), PrimaryFace()
    for i in range(40):
        faces = [face(50, 120), face(400, 60)] if i < 20 else [face(400, 60)]
        tracks = tracker(i / 10, faces)
        number = main(i / 10, tracks)
    assert [t.face.box.x for t in tracks if t.id == number] == [400]
