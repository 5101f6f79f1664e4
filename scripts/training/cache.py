"""The prepared sets as one file each in the work folder: decoding and cutting take minutes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data import LABELS
from training.mixture import Judged, judged, judged_uncut
from training.worlds import SOURCES, World, load, load_votes, load_words, warn


def worlds(folder: Path, work: Path) -> dict[str, World]:
    """Every set that is in the folder. Sets that are missing or hold nothing are named and left out."""
    kept = work / "prepared"
    kept.mkdir(parents=True, exist_ok=True)
    words = _words(folder, work)
    found = {"ferplus": _cached(kept / "ferplus.npz", partial(load_votes, folder, words))}
    for source in SOURCES:
        if not (folder / source.path).exists():
            warn(f"{folder / source.path} is missing: trained without it")
            continue
        world = _cached(kept / f"{source.name}.npz", partial(load, source, folder, words))
        if len(world.tiles):
            found[source.name] = world
        else:
            warn(f"{folder / source.path} holds no usable picture: trained without it")
    return found


def judged_by_set(found: Mapping[str, World]) -> dict[str, Judged]:
    """People held back, by set; of the press photos also as they came."""
    parts = {name: judged(world) for name, world in found.items()}
    # ferd has no contempt. In FER+ it counts as wrong, by its protocol; posed on purpose it is left out.
    if "ckplus48" in parts:
        known = parts["ckplus48"].labels < len(LABELS)
        parts["ckplus48"] = Judged(parts["ckplus48"].tiles[known], parts["ckplus48"].labels[known])
    if "photos" in parts:
        parts["photos uncut"] = judged_uncut(found["photos"])
    return parts


def _words(folder: Path, work: Path) -> dict[str, NDArray[np.float32]]:
    """The teachers' word: what --teachers wrote, else what lies beside the pictures, else none."""
    for path in (work / "word.npz", folder / "teachers" / "word.npz"):
        if path.exists():
            return load_words(path)
    warn(f"{folder / 'teachers' / 'word.npz'} is missing: trained on labels alone. --teachers makes it")
    return {}


def _cached(path: Path, make: Callable[[], World]) -> World:
    if not path.exists():
        new = path.with_suffix(".new.npz")
        np.savez(new, **vars(make()))
        new.replace(path)
    with np.load(path) as stored:
        return World(**{key: stored[key] for key in stored.files})
