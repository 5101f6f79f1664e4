"""The prepared sets as one file each in the work folder: decoding and cutting take minutes."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data import LABELS
from training.mixture import Judged, judged, judged_uncut
from training.sources import MissingDataError
from training.worlds import SOURCES, World, load, load_votes, load_words, warn

UNREADABLE = (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile)


def worlds(folder: Path, work: Path) -> dict[str, World]:
    """Return every set that is in the folder.

    Sets that are missing, cannot be read or hold nothing are named and left out; only FER+ is needed.

    Raises:
        MissingDataError: The files of FER+ are not what they should be.
    """
    kept = work / "prepared"
    kept.mkdir(parents=True, exist_ok=True)
    words, said = _words(folder, work)
    helpers = [folder / "yunet", *said]
    try:
        made_of = _stamp(folder / "ferplus.webp", folder / "ferplus.npz", *said)
        found = {"ferplus": _cached(kept / "ferplus.npz", made_of, partial(load_votes, folder, words))}
    except UNREADABLE as error:
        raise MissingDataError(
            f"{folder / 'ferplus.npz'} or ferplus.webp is damaged, fetch them again: {error}"
        ) from None
    for source in SOURCES:
        path = folder / source.path
        if not path.exists():
            warn(f"{path} is missing: trained without it")
            continue
        try:
            world = _cached(kept / f"{source.name}.npz", _stamp(path, *helpers), partial(load, source, folder, words))
        except UNREADABLE as error:
            warn(f"{path} cannot be read, trained without it: {error}")
            continue
        if len(world.tiles):
            found[source.name] = world
        else:
            warn(f"{path} holds no usable picture: trained without it")
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


def _words(folder: Path, work: Path) -> tuple[dict[str, NDArray[np.float32]], list[Path]]:
    """Return the teachers' word and its file: what --teachers wrote, else what lies beside the pictures, else none."""
    for path in (work / "word.npz", folder / "teachers" / "word.npz"):
        if path.exists():
            try:
                return load_words(path), [path]
            except UNREADABLE as error:
                warn(f"{path} cannot be read: {error}")
    warn(f"{folder / 'teachers' / 'word.npz'} is missing: trained on labels alone. --teachers makes it")
    return {}, []


def _stamp(*paths: Path) -> str:
    """Return the size and time of every file or folder of pictures, so that a change is noticed."""
    there = [path for path in paths if path.exists()]
    parts = [part for path in there for part in (path, *sorted(p for p in path.glob("*/") if p.is_dir()))]
    return " ".join(f"{part.name}:{part.stat().st_size}:{part.stat().st_mtime_ns}" for part in parts)


def _cached(path: Path, made_of: str, make: Callable[[], World]) -> World:
    """Return the prepared set, made again if the file is damaged or was made of other data."""
    if (world := _stored(path, made_of)) is None:
        new = path.with_suffix(".new.npz")
        world = make()
        np.savez(new, made_of=np.array(made_of), **vars(world))
        new.replace(path)
    return world


def _stored(path: Path, made_of: str) -> World | None:
    try:
        with np.load(path) as stored:
            if str(stored["made_of"]) != made_of:
                return None
            return World(**{key: stored[key] for key in stored.files if key != "made_of"})
    except UNREADABLE:
        return None
