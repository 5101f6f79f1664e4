"""Which files a training needs, and what to say when one is missing.

Plain standard library: the check runs before the training venv exists.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Source:
    path: str
    origin: str
    needed: bool = True


FERPLUS = (
    Source("ferplus.webp", "the FER2013 pictures (ICML 2013 challenge) as one mosaic of 48x48 tiles"),
    Source("ferplus.npz", "the FER+ votes (Barsoum et al. 2016) in the order of the tiles"),
)
PHOTOS = Source("photos", "gray press photos in one folder a label (Apache-2.0)", needed=False)
YUNET = Source(
    "yunet",
    "face_detection_yunet_2023mar.onnx (OpenCV Zoo, MIT)",
    needed=False,
)


class MissingDataError(Exception):
    """A file that the training needs is not there; the text names it and its origin."""


class StartError(ValueError):
    """A file whose weights a training should begin with is missing, damaged, or of another shape."""


def data_folder(option: str | None = None) -> Path:
    """The folder of the training data: --data, else $FERD_DATA, else ../shared/data."""
    named = option or os.environ.get("FERD_DATA")
    return Path(named).expanduser() if named else REPO.parent / "shared" / "data"


def require(folder: Path, sources: tuple[Source, ...] = FERPLUS) -> None:
    """Raise MissingDataError that names every needed file that is not in the folder."""
    missing = [s for s in sources if s.needed and not (folder / s.path).exists()]
    if not missing:
        return
    lines = [f"missing: {folder / s.path}: {s.origin}" for s in missing]
    lines.append("remedy: put the files there, or name their folder with --data DIR or FERD_DATA")
    raise MissingDataError("\n".join(lines))
