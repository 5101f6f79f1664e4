"""The chain as a whole, with a detector and a classifier of known answers."""

import numpy as np
import pytest

from ferd.config import AlertConfig, CameraConfig, Config, FatigueConfig, SmoothingConfig
from ferd.errors import PictureError
from ferd.models.preprocess import Crop, InputSpec
from ferd.policy.smoothing import SmoothingRules
from ferd.types import Box, EyeMouthState, Face, Frame, Landmarks
from ferd.vision.pipeline import STEPS, Pipeline, StepTimings, run
from ferd.vision.rules import make_alert_engine
from ferd.vision.sides import Sides

LABELS = ("calm", "bright")


class Spots:
    """A detector that finds a face wherever a white square of 80 pixels is."""

    name = "spots"
    gray = True

    def __call__(self, frame):
        rows, columns = np.nonzero(frame.image > 100)
        if not len(rows):
            return []
        x, y = columns.min(), rows.min()
        return [Face(Box(float(x), float(y), float(columns.max() - x + 1), float(rows.max() - y + 1)))]


class Brightness:
    """A classifier that finds bright pictures bright; it remembers what it was shown."""

    labels = LABELS
    input = InputSpec(16, 16, "gray")

    class bundle:  # noqa: N801
        crop = Crop()
        mirrors = False

    def __init__(self):
        self.shown = []

    def __call__(self, picture):
        self.shown.append(picture)
        share = 0.9 if picture.mean() > 200 else 0.1
        return np.array([1 - share, share], np.float32)


def frame(t, level=255, at=(100, 100)):
    picture = np.zeros((240, 320, 3), np.uint8)
    if level:
        picture[at[1] : at[1] + 80, at[0] : at[0] + 80] = level
    return Frame(t, picture)


def pipeline(**camera):
    return Pipeline(Spots(), Brightness(), SmoothingRules(**SmoothingConfig().rules()), CameraConfig(**camera))


def test_faces_are_read_in_the_mirror_in_every_other_frame_where_the_model_allows_it():
    chain = pipeline()
    classifier = chain.classify
    chain.sides = Sides(mirrors=True)
    half = frame(0.0)
    half.image[:, 140:] = half.image[:, 140:] // 2  # the right half of the face is dark
    for i in range(9):
        chain.step(Frame(i / 10, half.image))
    left_is_bright = [bool(shown[:, :8].mean() > shown[:, 8:].mean()) for shown in classifier.shown]
    assert left_is_bright == [True, False, True, False, True, False, True]


def test_a_face_becomes_a_held_expression():
    readings = list(run(pipeline(), (frame(i / 10) for i in range(20))))
    assert readings[0].faces == ()
    last = readings[-1]
    assert last.main_face is not None
    assert last.main_face.expression == "bright"
    assert last.main_face.scores["bright"] == pytest.approx(0.9)
    assert last.main_face.confidence == pytest.approx(0.9, abs=0.01)


def test_the_classifier_sees_the_face_in_its_own_colour_and_size():
    chain = pipeline()
    list(run(chain, (frame(i / 10, 180) for i in range(6))))
    assert all(picture.shape == (16, 16) and (picture == 180).all() for picture in chain.classify.shown)


def test_nobody_is_none_and_not_neutral():
    readings = list(run(pipeline(), (frame(i / 10, 255 if i < 20 else 0) for i in range(40))))
    assert readings[19].main is not None
    assert readings[-1].main is None
    assert readings[-1].faces == ()


def test_a_face_that_is_missed_for_a_moment_keeps_its_expression_without_new_scores():
    readings = list(run(pipeline(), (frame(i / 10, 0 if i in (20, 21) else 255) for i in range(24))))
    gap = readings[21].main_face
    assert gap is not None
    assert gap.scores == {}
    assert gap.expression == "bright"
    assert readings[-1].main == readings[19].main


def test_faces_in_an_ignored_rectangle_are_not_there():
    readings = list(run(pipeline(ignore_zones=[(90, 90, 200, 200)]), (frame(i / 10) for i in range(20))))
    assert all(reading.faces == () for reading in readings)


def test_two_runs_over_the_same_frames_are_equal():
    frames = [frame(i / 7, 120 + 40 * (i // 30), (100 + i % 5, 100)) for i in range(90)]
    assert list(run(pipeline(), frames)) == list(run(pipeline(), frames))


class Crowd(Spots):
    """A detector that finds ten faces, whatever the picture shows."""

    def __call__(self, frame):
        return [Face(Box(float(30 * k), 100.0, 20.0 + k, 20.0)) for k in range(10)]


@pytest.mark.parametrize("fps", [5, 15, 30])
def test_of_ten_faces_the_main_one_is_read_in_every_frame_and_each_other_four_times_a_second(fps):
    config = Config(fatigue=FatigueConfig(enabled=True))
    chain = watching(config, Crowd(), lambda _image, _face: EyeMouthState(eyes_closed=0.0))
    readings = [chain.step(frame(k / fps)) for k in range(12 * fps)][2 * fps :]
    main = {reading.main for reading in readings}
    assert len(main) == 1
    read = {face.track.id: 0 for face in readings[-1].faces}
    for reading in readings:
        for face in reading.faces:
            assert bool(face.scores) == (face.signals is not None)
            read[face.track.id] += bool(face.scores)
    assert len(read) == 10
    assert read.pop(main.pop()) == len(readings)
    assert all(38 <= count <= 50 for count in read.values())
    assert all(face.expression for face in readings[-1].faces)
    assert len(chain.classify.shown) <= 12 * (fps + 40)


@pytest.mark.parametrize("fps", [5, 15, 30])
def test_one_face_is_read_in_every_frame(fps):
    chain = pipeline()
    readings = [chain.step(frame(k / fps)) for k in range(4 * fps)]
    assert all(face.scores for reading in readings for face in reading.faces)
    assert sum(len(reading.faces) for reading in readings) == len(chain.classify.shown)


class Swapped:
    """Loaded models, as swap_models takes them."""

    def __init__(self, classifier, eyes=None):
        self.detector, self.classifier, self.eyes = Spots(), classifier, eyes
        self.labels = classifier.labels


class Points(Spots):
    """Spots with landmarks."""

    def __call__(self, frame):
        points = Landmarks((110, 110), (150, 110), (130, 130), (115, 150), (145, 150))
        return [Face(face.box, points) for face in super().__call__(frame)]


def bright(**changes):
    return AlertConfig(**{"name": "bright", "label": "bright", "above": 0.5, "for_s": 1.0, "buzzer": "chirp"} | changes)


def watching(config, detector=None, read_eyes=None):
    rules = SmoothingRules(**config.smoothing.rules())
    return Pipeline(
        detector or Spots(), Brightness(), rules, CameraConfig(), read_eyes=read_eyes, watch=make_alert_engine(config)
    )


def steps(chain, begin, end, level=255):
    return [chain.step(frame(i / 10, level)) for i in range(begin, end)]


def test_changed_rules_keep_tracks_expressions_and_running_alerts():
    config = Config(alerts=[bright()])
    chain = watching(config)
    before = steps(chain, 0, 30)[-1]
    assert before.alerts[0].name == "bright"
    changed = Config(alerts=[bright(above=0.4)], smoothing=SmoothingConfig(time_constant_s=0.3, on_threshold=0.5))
    chain.use(changed, CameraConfig())
    after = steps(chain, 30, 31)[0]
    assert after.alerts[0].since == before.alerts[0].since
    assert after.main_face.track.id == before.main_face.track.id
    assert (after.main_face.expression, after.main_face.since) == ("bright", before.main_face.since)


def test_changed_smoothing_applies_to_faces_that_are_there():
    chain = watching(Config())
    steps(chain, 0, 10)
    chain.use(Config(smoothing=SmoothingConfig(on_threshold=0.95, off_threshold=0.95)), CameraConfig())
    assert steps(chain, 10, 40)[-1].main_face.expression is None


def test_a_factor_of_the_sensitivity_outlives_changed_rules():
    chain = watching(Config())
    chain.tune(2.0)  # the threshold of 0.6 becomes 0.95
    chain.use(Config(smoothing=SmoothingConfig(on_threshold=0.6)), CameraConfig())
    assert steps(chain, 0, 30)[-1].main_face.expression is None


def test_changed_zones_apply_at_once():
    chain = watching(Config())
    steps(chain, 0, 10)
    chain.use(Config(), CameraConfig(ignore_zones=[(90, 90, 200, 200)]))
    assert steps(chain, 10, 20)[-1].faces == ()


def test_changed_fatigue_limits_keep_what_was_observed():
    """Eyes that have been closed for 2 s stay closed for 2 s: an alarm a second later, not three."""
    config = Config(fatigue=FatigueConfig(enabled=True))
    closed = watching(config, Points(), lambda _image, _points: EyeMouthState(eyes_closed=1.0))
    before = steps(closed, 0, 25)[-1]
    assert before.fatigue.level == "warning"
    closed.use(Config(fatigue=FatigueConfig(enabled=True, unseen_after_s=20.0)), CameraConfig())
    levels = [reading.fatigue.level for reading in steps(closed, 25, 40)]
    assert levels[0] == "warning"
    assert "none" not in levels
    assert levels[-1] == "alarm"


def test_fatigue_can_be_switched_on_with_the_models_for_it():
    chain = watching(Config(), Points())
    assert steps(chain, 0, 10)[-1].fatigue is None
    models = Swapped(Brightness(), lambda _image, _points: EyeMouthState(eyes_closed=1.0))
    models.detector = Points()
    chain.swap_models(models)
    chain.use(Config(fatigue=FatigueConfig(enabled=True)), CameraConfig())
    after = steps(chain, 10, 50)[-1]
    assert after.fatigue.level == "alarm"
    assert after.main == 1


def test_other_models_with_the_same_labels_keep_everything():
    chain = watching(Config(alerts=[bright()]))
    before = steps(chain, 0, 30)[-1]
    other = Brightness()
    chain.swap_models(Swapped(other))
    after = steps(chain, 30, 31)[0]
    assert len(other.shown) == 1
    assert after.alerts == before.alerts
    assert after.main_face.track.id == before.main_face.track.id
    assert after.main_face.since == before.main_face.since


def test_other_labels_begin_again_on_the_same_tracks():
    class Moods(Brightness):
        labels = ("sad", "glad", "odd")

        def __call__(self, picture):
            return np.array([0.05, 0.9, 0.05], np.float32)

    chain = watching(Config())
    before = steps(chain, 0, 20)[-1]
    chain.swap_models(Swapped(Moods()))
    (unseen,) = steps(chain, 20, 21, level=0)  # not seen in the first frame: there are no scores to show yet
    assert (unseen.faces, unseen.main) == ((), before.main)
    after = steps(chain, 21, 40)[-1]
    assert after.main_face.track.id == before.main_face.track.id
    assert after.main_face.expression == "glad"
    assert set(after.main_face.smooth) == {"sad", "glad", "odd"}


def test_timings_are_measured_only_while_they_are_set():
    chain = watching(Config(), Points(), lambda _image, _points: EyeMouthState())
    plain = chain.step(frame(0.0))
    timings = chain.timings = StepTimings()
    steps(chain, 1, 10)
    means = timings.means()
    assert tuple(means) == tuple(step for step in STEPS if step not in ("follow", "gestures"))
    assert all(value >= 0 for value in means.values())
    chain.timings = None
    steps(chain, 10, 11)
    assert timings.means() == means
    assert plain.t == 0.0


def test_a_running_mean_follows_slowly():
    timings = StepTimings()
    for seconds in (0.010, 0.010, 0.030):
        timings.record("detect", seconds)
    assert timings.means() == {"detect": 11.0}


def broken_at(*bad):
    """A chain for which the pictures at these times do not decode."""
    chain = pipeline()
    detect = chain.detect

    def look(frame):
        if frame.t in bad:
            raise PictureError("does not decode: it is broken")
        return detect(frame)

    chain.detect = look
    return chain


def test_a_broken_picture_of_a_recording_is_left_out_and_logged_once(caplog):
    readings = list(run(broken_at(0.5, 1.0), (frame(i / 10) for i in range(20))))
    assert [reading.t for reading in readings] == [i / 10 for i in range(20) if i not in (5, 10)]
    assert len([record for record in caplog.records if "picture left out" in record.getMessage()]) == 1


def test_a_recording_without_a_whole_picture_is_an_error():
    with pytest.raises(PictureError, match="does not decode"):
        list(run(broken_at(0.0, 0.1), (frame(i / 10) for i in range(2))))
