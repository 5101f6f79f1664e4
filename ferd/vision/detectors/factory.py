"""Choose and load the configured face detector."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ferd.config import DetectorConfig
from ferd.errors import ConfigError
from ferd.models.registry import YUNET_NAME, find_installed, find_yunet
from ferd.vision.detectors import haar, yunet
from ferd.vision.detectors.base import Detector
from ferd.vision.detectors.ferd import FerdDetector
from ferd.vision.detectors.landmarked import with_landmarks

log = logging.getLogger(__name__)

FACE_MODEL = "face"
_NO_CASCADE = (
    "this OpenCV carries no cascade files (version 5 wheels do not). "
    "Install opencv-python-headless<5 or the apt package opencv-data, or bring YuNet and set detector.yunet"
)
_MISSING = {
    "auto": f"no face detector: the face model is not installed, and {_NO_CASCADE}",
    "face": 'detector.kind = "face", but the model is not installed; it comes with ferd: install ferd again',
    "yunet": (
        f'detector.kind = "yunet", but there is no {YUNET_NAME}: get it from OpenCV Zoo, put it into the folder of '
        "your models or name it in detector.yunet"
    ),
    "haar": f'detector.kind = "haar", but {_NO_CASCADE}',
}

Maker = Callable[[DetectorConfig, float | None], Detector | None]


def make_detector(config: DetectorConfig, threshold: float | None = None) -> Detector:
    """Load the configured detector and the landmarks model beside it.

    `auto`: ferd's own, then YuNet if its file is there, then Haar.

    Args:
        threshold: score from which on something is a face, instead of the detector's own: for photographs, which are
            searched with margins anyway. Haar has no score.

    Raises:
        ConfigError: it cannot be had; with the remedy.
    """
    makers: dict[str, Maker] = {"face": _face, "yunet": _yunet, "haar": _haar}
    if config.kind != "auto":
        makers = {config.kind: makers[config.kind]}
    for make in makers.values():
        if detector := make(config, threshold):
            log.info("detector chosen name=%s", detector.name)
            return with_landmarks(detector, near=threshold is None)
    raise ConfigError(_MISSING[config.kind])


def _face(config: DetectorConfig, threshold: float | None) -> Detector | None:
    bundle = find_installed(FACE_MODEL)
    return FerdDetector(bundle, config.min_face_px, threshold) if bundle else None


def _yunet(config: DetectorConfig, threshold: float | None) -> Detector | None:
    file = find_yunet(config.yunet)
    least = yunet.DEFAULT_THRESHOLD if threshold is None else threshold
    return yunet.YunetDetector(file, config.min_face_px, least) if file else None


def _haar(config: DetectorConfig, _threshold: float | None) -> Detector | None:
    cascade = haar.find_cascade()
    return haar.HaarDetector(cascade, config.min_face_px) if cascade else None
