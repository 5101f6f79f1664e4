"""The prepared pictures as one file in the work folder: decoding and cutting take minutes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.data import Judged, Sample, load_ferplus, training_sample, validation_pictures
from training.photos import Held, load_photos
from training.unlabelled import load_unlabelled


@dataclass(frozen=True)
class Pictures:
    votes: Sample  # FER+
    photos: Sample  # three cuts of each; may be empty
    unlabelled: Sample  # targets are 0; may be empty
    validation: Judged  # FER+ public test, twins of train pictures included
    held: Held  # photos of people held back, may be empty

    def judged(self) -> tuple[Judged, Judged, Judged]:
        """What a net is judged by: validation without twins, photos cut by the eyes, photos uncut."""
        return self.validation.without_duplicates(), self.held.cut, self.held.whole


def pictures(folder: Path, work: Path) -> Pictures:
    path = work / "prepared.npz"
    if not path.exists():
        work.mkdir(parents=True, exist_ok=True)
        _prepare(folder, path)
    with np.load(path) as kept:
        samples = [Sample(kept[f"{name}_tiles"], kept[f"{name}_targets"]) for name in ("votes", "photos", "unlabelled")]
        validation, cut, whole = (
            Judged(kept[f"{name}_tiles"], kept[f"{name}_labels"], kept[f"{name}_duplicate"])
            for name in ("validation", "cut", "whole")
        )
    return Pictures(*samples, validation, Held(cut, whole))


def _prepare(folder: Path, path: Path) -> None:
    fer = load_ferplus(folder)
    photos, held = load_photos(folder)
    samples = {"votes": training_sample(fer), "photos": photos, "unlabelled": load_unlabelled(folder)}
    judged = {"validation": validation_pictures(fer), "cut": held.cut, "whole": held.whole}
    arrays = {f"{name}_{key}": value for name, part in (samples | judged).items() for key, value in vars(part).items()}
    np.savez_compressed(path, **arrays)
