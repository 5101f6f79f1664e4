"""Models are loaded without side effects, and are kept as long as they serve a changed configuration."""

import threading

import cv2
import pytest

from ferd.config import AlertConfig, Config, DetectorConfig, ExpressionConfig, FatigueConfig, SmoothingConfig
from ferd.errors import ConfigError
from ferd.models.registry import shipped_dir
from ferd.vision.loader import Models, set_opencv_threads


@pytest.fixture(scope="module")
def models():
    return Models(Config())


@pytest.fixture
def opencv_threads():
    before = cv2.getNumThreads()
    yield
    cv2.setNumThreads(before)


def test_loading_in_a_background_thread_changes_nothing_global(opencv_threads):
    cv2.setNumThreads(2)
    made = []
    thread = threading.Thread(target=lambda: made.append(Models(Config())))
    thread.start()
    thread.join()
    assert made[0].labels[-1] == "neutral"
    assert cv2.getNumThreads() == 2
    set_opencv_threads(made[0].detector)
    assert cv2.getNumThreads() == 1


@pytest.mark.parametrize(
    ("config", "serves"),
    [
        (Config(), True),
        (Config(smoothing=SmoothingConfig(on_threshold=0.6)), True),
        (Config(alerts=[AlertConfig(name="sad", label="sadness", above=0.5)]), True),
        (Config(expression=ExpressionConfig(model=str(shipped_dir() / "expression.tflite"))), True),
        (Config(detector=DetectorConfig(min_face_px=60)), False),
        (Config(fatigue=FatigueConfig(enabled=True)), False),
    ],
)
def test_what_needs_other_models(models, config, serves):
    assert models.serve(config) == serves


def test_a_replaced_file_needs_to_be_loaded(bundle_dir):
    config = Config(expression=ExpressionConfig(model=str(bundle_dir)))
    config = Config(expression=ExpressionConfig(model=str(bundle_dir / "expression.tflite")))
    models = Models(config)
    assert models.serve(config)
    file = bundle_dir / "expression.tflite"
    file.write_bytes(file.read_bytes() + b"\0")
    assert not models.serve(config)


def test_a_label_that_the_model_lacks(models):
    with pytest.raises(ConfigError, match=r"Did you mean sadness\?"):
        models.check_alerts(Config(alerts=[AlertConfig(name="sad", label="sadnes", above=0.5)]))
