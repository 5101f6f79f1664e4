"""Models are loaded without side effects, and are kept as long as they serve a changed configuration."""

import threading

import cv2
import pytest

from ferd.config import AlertConfig, Config
from ferd.errors import ConfigError
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


def test_a_label_that_the_model_lacks(models):
    with pytest.raises(ConfigError, match=r"Did you mean sadness\?"):
        models.check_alerts(Config(alerts=[AlertConfig(name="sad", label="sadnes", above=0.5)]))
