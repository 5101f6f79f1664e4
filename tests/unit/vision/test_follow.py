"""Faces that are followed by their landmarks: when the detector runs, and who is still there."""

import numpy as np
import pytest

from ferd.types import Box, Face, Frame, LandmarkReading
from ferd.vision.detectors.landmarked import LandmarkedDetector
from ferd.vision.follow import FIND_AGAIN_S, SEARCH_S, UNFOUND_S, FaceFollower
from ferd.vision.landmarks import LABELS, crop_of_points

IMAGE = np.zeros((480, 640), np.uint8)
SHAPE = np.random.default_rng(1).uniform(-0.5, 0.5, (len(LABELS), 2))


class Scene:
    """A detector and a landmarks model that know where the faces are: centre and size by name."""

    name, gray = "scene", True

    def __init__(self, **faces):
        self.faces = dict(faces)
        self.hidden = set()  # from the detector
        self.searches = 0
        self.presence = 0.99

    def __call__(self, _frame):
        self.searches += 1
        shown = (place for name, place in self.faces.items() if name not in self.hidden)
        return [Face(Box(x - s / 2, y - s / 2, s, s), score=0.9) for x, y, s in shown]

    def read(self, _image, where):
        if isinstance(where, LandmarkReading):
            crop = crop_of_points(where.points, where.roll)
            where = crop
        for x, y, size in self.faces.values():
            if np.hypot(x - where.x, y - where.y) < 0.4 * size:
                points = (SHAPE * size + (x, y)).astype(np.float32)
                return LandmarkReading(points, self.presence, 0, 0, 0, 0.15, 0.15, 0.1)
        return LandmarkReading(np.zeros((len(LABELS), 2), np.float32), 0.01, 0, 0, 0, 0, 0, 0)

    def read_new(self, image, crop):
        return self.read(image, crop)


class Run:
    def __init__(self, scene, fps):
        self.scene, self.fps, self.t = scene, fps, 0.0
        self.follower = FaceFollower(LandmarkedDetector(scene, scene))

    def step(self):
        frame = Frame(self.t, IMAGE)
        self.follower.follow(frame)
        if self.follower.due(self.t):
            self.follower.add(frame, self.scene(frame))
        self.t += 1 / self.fps
        return self.follower.faces

    def run(self, seconds):
        for _ in range(round(seconds * self.fps)):
            faces = self.step()
        return faces


@pytest.mark.parametrize("fps", [3, 10, 30])
def test_the_detector_runs_by_seconds_and_not_by_frames(fps):
    scene = Scene(anna=(200, 200, 100))
    run = Run(scene, fps)
    run.run(10)
    assert 10 / (SEARCH_S + 1 / fps) - 1 <= scene.searches <= 10 / SEARCH_S + 1


class Counting(Scene):
    """Counts the looks at each face."""

    def __init__(self, **faces):
        super().__init__(**faces)
        self.looks = dict.fromkeys(faces, 0)

    def read(self, image, where):
        if not isinstance(where, LandmarkReading):
            nearest = min(self.faces, key=lambda name: np.hypot(self.faces[name][0] - where.x, where.y - 200))
            self.looks[nearest] += 1
        return super().read(image, where)


def crowd(count):
    return {f"face{k}": (60 + 120 * k, 200, 100) for k in range(count)}


@pytest.mark.parametrize("fps", [5, 15, 30])
def test_of_many_faces_the_first_is_looked_at_in_every_frame_and_the_others_in_turn(fps):
    scene = Counting(**crowd(10))
    run = Run(scene, fps)
    run.run(1)
    scene.looks = dict.fromkeys(scene.looks, 0)
    for step in range(10 * fps):
        now, faces = run.t, run.step()
        assert len(faces) == 10
        run.follower.first = next(face for face in faces if face.box.centre[0] == pytest.approx(300, abs=30))
        assert run.follower.looked_at(run.follower.first, now) or step == 0
    first = scene.looks.pop("face2")
    assert first >= 10 * fps - 1
    assert all(10 * min(fps, 6) <= looks <= 10 * (60 / 9 + 2.5) for looks in scene.looks.values())


def test_a_few_faces_are_all_looked_at_in_every_frame():
    scene = Counting(**crowd(4))
    run = Run(scene, 30)
    run.run(10)
    assert min(scene.looks.values()) >= 299


@pytest.mark.parametrize("fps", [5, 15, 30])
def test_many_faces_that_move_stay_the_faces_they_are(fps):
    scene = Scene(**crowd(10))
    run = Run(scene, fps)
    run.run(1)
    places = scene.faces
    for step in range(3 * fps):
        scene.faces = {name: (x + 60 * step / fps, y, size) for name, (x, y, size) in places.items()}
        faces = run.step()
        assert len(faces) == 10
        off = [min(abs(face.box.centre[0] - x) for face in faces) for x, _y, _size in scene.faces.values()]
        assert max(off) < 60 * (0.2 + 1 / fps)


@pytest.mark.parametrize("fps", [5, 15, 30])
def test_one_of_many_who_leaves_is_gone_within_a_quarter_second(fps):
    scene = Scene(**crowd(10))
    run = Run(scene, fps)
    run.run(1)
    del scene.faces["face7"]
    assert len(run.run(0.25 + 1 / fps)) == 9


def test_an_empty_room_is_searched_in_every_frame():
    scene = Scene()
    Run(scene, 10).run(2)
    assert scene.searches == 20


@pytest.mark.parametrize("fps", [3, 15, 30])
def test_a_followed_face_moves_with_its_box(fps):
    scene = Scene(anna=(200, 200, 100))
    run = Run(scene, fps)
    for step in range(3 * fps):
        scene.faces["anna"] = (200 + 40 * step / fps, 200, 100 + 10 * step / fps)
        (face,) = run.step()
        x, y, size = scene.faces["anna"]
        assert face.box.centre == pytest.approx((x, y), abs=0.5)
        assert (face.box.w, face.box.h) == pytest.approx((size, size), rel=0.02)
        assert face.landmarks.points == pytest.approx(SHAPE * size + (x, y), abs=0.5)
        assert face.score == 0.9


@pytest.mark.parametrize("fps", [3, 10, 30])
def test_a_newcomer_is_followed_after_the_next_search(fps):
    scene = Scene(anna=(200, 200, 100))
    run = Run(scene, fps)
    run.run(2)
    scene.faces["ben"] = (450, 200, 90)
    assert len(run.run(SEARCH_S + 1 / fps)) == 2


def test_a_face_that_left_is_gone_at_once_and_looked_for():
    scene = Scene(anna=(200, 200, 100), ben=(450, 200, 90))
    run = Run(scene, 10)
    run.run(2)
    del scene.faces["anna"]
    before = scene.searches
    (left,) = run.step()
    assert left.box.centre == pytest.approx((450, 200), abs=1)
    run.run(FIND_AGAIN_S)
    assert scene.searches - before >= FIND_AGAIN_S * 10
    scene.faces["anna"] = (230, 220, 100)  # elsewhere, some time later
    assert len(run.run(2 * SEARCH_S)) == 2


def test_a_face_that_jumps_is_found_in_the_same_frame():
    scene = Scene(anna=(200, 200, 100))
    run = Run(scene, 10)
    run.run(2)
    scene.faces["anna"] = (450, 300, 100)
    (face,) = run.step()
    assert face.box.centre == pytest.approx((450, 300), abs=1)


def test_two_faces_in_one_place_are_one():
    scene = Scene(anna=(200, 200, 100), ben=(300, 200, 100))
    run = Run(scene, 10)
    assert len(run.run(1)) == 2
    for x in range(300, 210, -10):
        scene.faces["ben"] = (x, 200, 100)
        run.step()
    assert len(run.step()) == 1


def test_a_turned_head_is_followed_without_the_detector_for_a_while():
    scene = Scene(anna=(200, 200, 100))
    run = Run(scene, 10)
    run.run(1)
    scene.hidden.add("anna")
    assert len(run.run(UNFOUND_S - 1)) == 1
    assert run.run(2) == []


def test_what_the_detector_does_not_find_needs_a_surer_look():
    scene = Scene(anna=(200, 200, 100))
    run = Run(scene, 10)
    run.run(1)
    scene.presence = 0.6
    assert len(run.run(1)) == 1
    scene.hidden.add("anna")
    assert run.run(1) == []


def test_a_face_without_landmarks_is_searched_in_every_frame():
    scene = Scene(anna=(200, 200, 100))
    scene.presence = 0.2
    run = Run(scene, 10)
    (face,) = run.run(1)
    assert face.landmarks is None
    assert scene.searches == 10


def test_a_source_that_starts_again_is_searched():
    scene = Scene(anna=(200, 200, 100))
    run = Run(scene, 10)
    run.run(5)
    run.t, before = 0.0, scene.searches
    run.step()
    assert scene.searches == before + 1
