"""A model that looks at the whole picture runs in the same chain."""

import numpy as np
from tflite_files import classifier

from ferd.config import CameraConfig, Config, ExpressionConfig
from ferd.models.importer.adopt import Wishes, adopt
from ferd.types import Frame
from ferd.vision.pipeline import Models


def test_it_needs_no_face_and_sees_the_middle_square(tmp_path, monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    (tmp_path / "m.tflite").write_bytes(classifier(dtype="uint8"))
    (tmp_path / "labels.txt").write_text("mug\nno mug\nhand\n")
    adopt(tmp_path / "m.tflite", Wishes("mug", view="frame"))
    parts = Models(Config(expression=ExpressionConfig(model="mug")))
    pipeline = parts.pipeline(CameraConfig())
    picture = np.zeros((48, 80, 3), np.uint8)
    picture[:, :16] = picture[:, 64:] = 255  # outside the middle square
    readings = [pipeline.step(Frame(n / 10, picture)) for n in range(10)]
    assert set(readings[-1].main_face.scores) == {"mug", "no mug", "hand"}
    assert readings[-1].main_face.track.face.box == (0, 0, 80, 48)
    dark = parts.classifier(np.zeros((16, 16, 3), np.uint8))
    np.testing.assert_allclose(list(readings[-1].main_face.scores.values()), dark, atol=1e-6)
