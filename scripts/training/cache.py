"""The prepared sets as one file each in the work folder: decoding and cutting take minutes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from training.data import LABELS
from training.mixture import Judged, judged, judged_uncut
from training.worlds import SOURCES, World, load, load_votes, load_words, warn

WORD = "teachers/word.npz"


@dataclass(frozen=True)
class Pictures:
    worlds: Mapping[str, World]

    def judged(self) -> dict[str, Judged]:
        """People held back, by set; of the press photos also as they came."""
        parts = {name: judged(world) for name, world in self.worlds.items()}
        # ferd has no contempt. In FER+ it counts as wrong, by its protocol; posed on purpose it is left out.
        if "ckplus48" in parts:
            told = parts["ckplus48"].labels < len(LABELS)
            parts["ckplus48"] = Judged(parts["ckplus48"].tiles[told], parts["ckplus48"].labels[told])
        if "photos" in parts:
            parts["photos uncut"] = judged_uncut(self.worlds["photos"])
        return parts


def pictures(folder: Path, work: Path) -> Pictures:
    """Every set that is in the folder; FER+ has to be, the others are named when they are missing."""
    kept = work / "prepared"
    kept.mkdir(parents=True, exist_ok=True)
    fer_word, words = load_words(folder / WORD)
    worlds = {"ferplus": _cached(kept / "ferplus.npz", lambda: load_votes(folder, fer_word))}
    for source in SOURCES:
        if (folder / source.path).exists():
            worlds[source.name] = _cached(kept / f"{source.name}.npz", lambda s=source: load(s, folder, words))
        else:
            warn(f"{folder / source.path} is missing: trained without it")
    return Pictures(worlds)


def _cached(path: Path, make) -> World:  # type: ignore[no-untyped-def]
    if not path.exists():
        np.savez(path.with_suffix(".new.npz"), **vars(make()))
        path.with_suffix(".new.npz").replace(path)
    with np.load(path) as stored:
        return World(**{key: stored[key] for key in stored.files})
