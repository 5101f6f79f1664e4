"""Pictures in which lids are shut: what the landmarks model learns winks from, and what it is judged by.

Needs torch, which the training environment has and the ordinary one does not.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ferd.vision.landmarks import LABELS, LEFT_EYE, LOWER, RIGHT_EYE, UPPER

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.slow

REPO = Path(__file__).resolve().parents[2]
APART = 0.4  # eye distance of the drawn faces, in extents
WHITE, SKIN = 250, 120
TILE, UNIT = 192, 64


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(REPO / "scripts"))
    names = ("lids", "winks", "augment", "start", "net")
    return SimpleNamespace(**{name: importlib.import_module(f"training.landmarks_{name}") for name in names})


def face(aperture: float) -> np.ndarray:
    """(40, 2) in extents: eyes of this aperture in eye distances, and the rest about where it belongs."""
    points = np.zeros((len(LABELS), 2), np.float32)
    for eye, x, inwards in ((RIGHT_EYE, -APART / 2, 1), (LEFT_EYE, APART / 2, -1)):
        along = np.array([-1, -0.5, 0, 0.5, 1, 0.5, 0, -0.5]) * 0.08 * inwards
        across = np.array([0, -1, -1, -1, 0, 1, 1, 1]) * aperture * APART / 2
        points[eye] = np.stack([x + along, -0.2 + across], axis=1)
    for label, place in {
        "right_brow_middle": (-0.2, -0.34), "left_brow_middle": (0.2, -0.34), "right_iris": (-0.2, -0.2),
        "left_iris": (0.2, -0.2), "nose_tip": (0, 0.05), "lip_lower_inner": (0, 0.25), "chin": (0, 0.5),
    }.items():  # fmt: skip
        points[LABELS.index(label)] = place
    return points


def tile(points: np.ndarray) -> np.ndarray:
    """Skin with white eyes between the lids, and a white mouth."""
    ticks = (np.arange(TILE) + 0.5 - TILE / 2) / UNIT
    x, y = np.meshgrid(ticks, ticks)
    picture = np.full((TILE, TILE), SKIN, np.uint8)
    picture[(np.abs(x) < 0.2) & (np.abs(y - 0.25) < 0.06)] = WHITE
    for eye in (RIGHT_EYE, LEFT_EYE):
        (mx, my), half = points[eye].mean(axis=0), np.ptp(points[eye][:, 0]) / 2
        high = max(np.ptp(points[eye][:, 1]) / 2, 1e-3)
        picture[((x - mx) / half) ** 2 + ((y - my) / high) ** 2 < 1] = WHITE
    return picture


def faces(training: Any, *apertures: float) -> Any:
    points = np.stack([face(aperture) for aperture in apertures])
    n = len(apertures)
    return training.augment.Faces(
        torch.from_numpy(np.stack([tile(one) for one in points])),
        torch.from_numpy(points),
        torch.tensor([[0.0, 0.0, APART, 0.01]]).expand(n, -1).clone(),
        torch.ones(n),
        torch.ones(n),
    )


def seen(training: Any, made: Any, lids: Any = None) -> Any:
    n = len(made)
    place = training.augment.Place(torch.zeros(n, 2), torch.full((n,), 0.6), torch.zeros(n), torch.ones(n))
    return training.augment.cut(made, torch.arange(n), place, lids)


def white(batch: Any, eye: slice) -> float:
    """How many pixels of the first picture around an eye are white."""
    x, y = ((batch.points[0, eye].mean(0) + 1) * 32).int().tolist()
    return float((batch.pixels[0, y - 8 : y + 8, x - 8 : x + 8] > 0.7).sum())


@pytest.mark.parametrize(("shut", "still"), [(0, 1), (1, 0)])
def test_one_eye_is_shut_in_picture_and_points_and_the_other_is_not(training: Any, shut: int, still: int) -> None:
    made, eyes = faces(training, 0.2), (RIGHT_EYE, LEFT_EYE)
    how_far = torch.zeros(1, 2)
    how_far[0, shut] = 1.0
    before, after = seen(training, made), seen(training, made, (how_far, torch.full((1, 1), 0.9)))
    assert white(before, eyes[shut]) > 20
    assert white(after, eyes[shut]) < 5  # an ellipse is a little higher than the curve through its landmarks
    assert white(after, eyes[still]) == white(before, eyes[still])
    gaps = training.lids.gaps(after.points, after.unit)[0]
    assert gaps[shut] < 0.01
    assert gaps[still] == pytest.approx(0.2, abs=0.01)
    corners = [eyes[shut].start, eyes[shut].start + 4]
    assert torch.equal(after.points[0, corners], before.points[0, corners])


def test_lids_meet_where_they_are_said_to_meet(training: Any) -> None:
    points = torch.from_numpy(face(0.2))[None]
    moved = training.lids.moved(points, torch.ones(1, 2), torch.full((1, 1), 0.75))
    upper, lower = (moved[0, RIGHT_EYE][list(rows), 1] for rows in (UPPER, LOWER))
    assert torch.allclose(upper, lower, atol=1e-6)
    assert torch.allclose(upper, torch.full((3,), -0.2 + 0.5 * 0.1 * APART), atol=1e-6)


def test_only_open_eyes_are_shut_and_most_of_them_one_by_one(training: Any) -> None:
    points = torch.from_numpy(np.stack([face(0.2), face(0.03)])).repeat(2000, 1, 1)
    shut, meet = training.lids.draw(points, torch.full((4000,), APART), torch.Generator().manual_seed(1))
    assert (shut[1::2] == 0).all()
    touched = shut[::2][shut[::2].amax(1) > 0]
    assert len(touched) / 2000 == pytest.approx(training.lids.SHARE, abs=0.05)
    assert (touched.amax(1) - touched.amin(1) > 0.2).float().mean() > 0.5
    assert (touched[:, 0] > touched[:, 1]).float().mean() == pytest.approx(0.45, abs=0.1)
    assert ((meet >= training.lids.MEET[0]) & (meet <= training.lids.MEET[1])).all()


def test_joined_faces_have_the_shut_eye_where_they_say(training: Any) -> None:
    made, sides = training.winks.joined(faces(training, 0.2, 0.01, 0.21, 0.22))
    assert sorted(set(sides.tolist())) == [0, 1]
    for number, side in enumerate(sides.tolist()):
        gaps = training.lids.gaps(made.points, made.pose[:, 2])[number]
        assert gaps[side] < 0.03
        assert gaps[1 - side] > 0.15
        one = training.augment.Faces(*(values[number : number + 1] for values in vars(made).values()))
        batch, eyes = seen(training, one), (RIGHT_EYE, LEFT_EYE)
        assert white(batch, eyes[side]) < 5 < white(batch, eyes[1 - side])


def test_without_shut_eyes_there_is_nothing_to_join(training: Any) -> None:
    with pytest.raises(ValueError, match="no face with shut eyes"):
        training.winks.joined(faces(training, 0.2, 0.2))


def test_the_training_begins_with_what_the_shipped_file_says(training: Any) -> None:
    runtime = importlib.import_module("ferd.models.runtime")
    report = importlib.import_module("training.landmarks_report")
    file = REPO / "models" / "landmarks.tflite"
    coarse = torch.rand(64, 1, 9, 9, generator=torch.Generator().manual_seed(2))
    smooth = torch.nn.functional.interpolate(coarse, size=64, mode="bicubic")[:, 0]
    pixels = training.augment.level(smooth)
    net = training.start.net_of(file, report.to_input(pixels))
    of_net = report.run_net(net, pixels)[:, 1:]
    of_file = report.run_file(runtime.Network(file), pixels)[:, 1:]
    assert of_file.abs().mean() > 0.2
    assert (of_net - of_file).abs().mean() < 0.02  # int8 steps of the file
    wider = training.net.LandmarksNet(units=100).eval()
    start = importlib.import_module("training.start")
    start.read_back(wider, wider.outer, file, report.to_input(pixels))
    assert (report.run_net(wider, pixels)[:, 1:] - of_file).abs().mean() < 0.02
    # Weights as large as a training leaves them: smaller ones, as the file has them, are lost with the first steps.
    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d):
            assert torch.allclose(module.weight.std(dim=(1, 2, 3)), torch.tensor(start.SPREAD))
