"""How the sets are mixed: the targets of each, and how often its pictures come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.data import LABELS, TRAIN_LABELS
from training.worlds import BOX, EYES, MARGIN, UNCUT, WORD, Tile, World

VICKSAM, HSEMOTION, HSEMOTION_RAF = slice(0, 7), slice(7, 14), slice(14, 21)  # columns of the teachers' word
START = slice(WORD, WORD + len(LABELS))  # the file whose weights the training begins with
RARE = [TRAIN_LABELS.index(name) for name in ("fear", "disgust", "contempt")]
HOW_OFTEN = {EYES: 0.6, BOX: 0.2, UNCUT: 0.4}  # of the cuts of one picture


@dataclass(frozen=True)
class Share:
    """`weight`: how often one picture comes. `teacher`: its share of the target; the labels are `smooth`ed."""

    weight: float
    teacher: float
    smooth: float
    said_by: tuple[slice, ...] = (VICKSAM, HSEMOTION)


SHARES: Mapping[str, Share] = {
    "ferplus": Share(1.0, 0.65, 0.0, (VICKSAM, HSEMOTION, START)),
    "photos": Share(1.5, 0.6, 0.1, (VICKSAM, HSEMOTION, START)),
    "rafdb": Share(1.5, 0.3, 0.05, (HSEMOTION_RAF,)),
    "affectnet_ffhq": Share(1.2, 0.3, 0.1, (HSEMOTION_RAF, VICKSAM)),
    "kdef": Share(4.0, 0.15, 0.05, (HSEMOTION_RAF,)),
    "ckplus48": Share(4.0, 0.15, 0.05, (HSEMOTION_RAF,)),
    "jaffe": Share(8.0, 0.1, 0.05, (HSEMOTION_RAF,)),
    "nir": Share(2.0, 0.0, 0.1),
}


@dataclass(frozen=True)
class Sample:
    """Pictures with soft targets over TRAIN_LABELS that sum to 1; `weight`: how often each comes."""

    tiles: Tile
    targets: NDArray[np.float32]
    weight: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.tiles)


@dataclass(frozen=True)
class Judged:
    """Pictures of people held back, with one label each."""

    tiles: Tile
    labels: NDArray[np.int64]  # index into TRAIN_LABELS


def sample(worlds: Mapping[str, World]) -> Sample:
    """Everything that is trained on."""
    parts = [_part(world, SHARES[name]) for name, world in worlds.items()]
    return Sample(
        np.concatenate([p.tiles for p in parts]),
        np.concatenate([p.targets for p in parts]),
        np.concatenate([p.weight for p in parts]),
    )


def _part(world: World, share: Share) -> Sample:
    targets, known = targets_of(world, share)
    weight = share.weight * _raised(targets)
    tile_weight = np.array([HOW_OFTEN[int(kind)] for kind in world.cut])
    tile_weight /= np.bincount(world.picture, tile_weight, len(targets))[world.picture]
    use = (known & ~world.held)[world.picture]
    row = world.picture[use]
    return Sample(world.tiles[use], targets[row], tile_weight[use] * weight[row])


def targets_of(world: World, share: Share) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The target of every picture, and which pictures have one. Only columns that the word has are asked."""
    labelled = world.targets.sum(axis=1) > 0.5
    smoothed = world.targets * (1 - share.smooth) + share.smooth / len(TRAIN_LABELS)
    said_by = [columns for columns in share.said_by if columns.stop <= world.word.shape[1]]
    said = np.zeros_like(smoothed)
    said[:, : len(LABELS)] = np.mean([world.word[:, columns] for columns in said_by], axis=0)
    total = said.sum(axis=1)
    said /= np.maximum(total, 1e-6)[:, None]
    rare = world.targets[:, RARE].sum(axis=1)  # which teachers overlook
    by_teacher = np.where(labelled, share.teacher * (1 - rare), 1.0)
    by_teacher = np.where(total > 0.1, by_teacher, 0.0)[:, None]
    known = labelled | (total > 0.1)
    return (smoothed * (1 - by_teacher) + said * by_teacher).astype(np.float32), known


def _raised(targets: NDArray[np.float32]) -> NDArray[np.float64]:
    """More of the rare labels of a set: by the fourth root of their rarity; the mean is 1."""
    count = targets.sum(axis=0) + 1
    factor = targets @ (count.max() / count) ** 0.25
    return np.asarray(factor / factor.mean(), np.float64)


def judged(world: World) -> Judged:
    """One tile of every held-back picture, cut as in use: by the eyes, or whole where no eyes were found."""
    first = as_in_use(world)
    use = world.held & (world.label >= 0) & (first >= 0)
    return Judged(inner(world.tiles[first[use]]), world.label[use])


def as_in_use(world: World) -> NDArray[np.int64]:
    """The row of the best cut tile of every picture: by the eyes, or whole where no eyes were found; -1 without one."""
    first = np.full(len(world.label), -1)
    for kind in (BOX, UNCUT, EYES):
        rows = np.flatnonzero(world.cut == kind)
        first[world.picture[rows]] = rows
    return first


def judged_uncut(world: World) -> Judged:
    rows = np.flatnonzero((world.cut == UNCUT) & (world.held & (world.label >= 0))[world.picture])
    return Judged(inner(world.tiles[rows]), world.label[world.picture[rows]])


def inner(tiles: Tile) -> Tile:
    """The tiles without their margin."""
    return np.ascontiguousarray(tiles[:, MARGIN:-MARGIN, MARGIN:-MARGIN])
