"""Judge the landmarks net on people held back, and write the card of the file."""

from __future__ import annotations

import datetime
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ferd.models.runtime import Network
from ferd.types import LandmarkReading
from ferd.vision.landmarks import (
    ANGLE,
    AROUND,
    LABELS,
    LATER_LOOKS,
    LEFT_EYE,
    LIP_LOWER,
    LIP_UPPER,
    LOWER,
    PRESENT,
    RIGHT_EYE,
    SIDE,
    UPPER,
    VALUES,
    Crop,
    crop_of_box,
    crop_of_points,
    mean_of,
    mirrored,
    reading,
)
from training import card, landmarks_winks
from training.fit import to_input
from training.landmarks_augment import Batch, Faces, Place, beside, cut, degrade, empty, plain, together, tracked
from training.landmarks_data import EYES, ROOM, SOURCES
from training.net import MEAN, STD, multiply_adds

FRONTAL, TURNED, POSE = 20.0, 60.0, 45.0  # degrees of yaw
STEADY = 0.3  # share of the usual displacement of crops: a head that hardly moves
TRAINED_ON = (
    ("faces", "TV frames, street scenes, portraits and close-ups"),
    ("drivers", "frames of drivers, yawning or not"),
    ("infrared", "near infrared frames of people who were asked for an expression (MIT repository)"),
    ("eye_state", "whole faces with eyes open or closed, as people labelled them"),
    ("photos", "gray press photos of public figures (Apache-2.0)"),
    ("rafdb", "RAF-DB, web faces (research use of the pictures)"),
    ("affectnet_ffhq", "AffectNet and FFHQ, small web faces (research use of the pictures; CC BY-NC-SA)"),
    ("kdef", "KDEF, posed portraits (research use of the pictures)"),
    ("jaffe", "JAFFE, posed portraits (research use of the pictures)"),
)
NOT_FOR = (
    "Not for recognising persons: it gives no identity and must not be used to watch people without their knowledge. "
    "It is no safety device. Landmarks behind dark lenses, hands and masks are guesses. " + card.NOT_FOR
)
PROTOCOL = (
    "the file through LiteRT, people held back from training; true is what MediaPipe's face landmarks say of the "
    "larger picture, the mean of two looks; crops off as in tracking, by up to 15 % of their side and turned by up to "
    "35 degrees. Point errors are means, in eye distances that the head would show if it faced the camera "
    "(*_projected: as it shows them). frontal: yaw up to 20 degrees, turned: 20 to 60. pose: medians, yaw up to 45. "
    "presence: mean of the shares right of faces and of crops beside faces or without any, at 0.5. auc: area under "
    "the curve of the aperture against labels by people. wink: half faces with open eyes joined to half faces with "
    "shut ones, apertures in eye distances, share of pictures in which the shut eye has the smaller one"
)


@dataclass(frozen=True)
class Held:
    """Faces held back, with what is known of them; `empty`: tiles without a face."""

    faces: Faces
    empty: Tensor
    source: NDArray[np.uint8]
    eyes: NDArray[np.uint8]
    name: NDArray[np.str_]
    size: NDArray[np.float32]
    boxes: NDArray[np.float32]
    roll: NDArray[np.float32]  # of the head in its picture, degrees


class Judge:
    """A few figures of the float net, for the curve, from each third face; the crops are cut once."""

    NAMES = ("frontal", "turned", "yaw", "pitch", "lids_correlation", "eyes_auc")

    def __init__(self, held: Held) -> None:
        self.held = each_third(held)
        self.steady = faces_batch(self.held, STEADY)
        self.nothing = nothing_batch(held, 300)
        self.winks, self.sides = winks(held)

    def __call__(self, net: nn.Module) -> dict[str, float]:
        said = run_net(net, self.steady.pixels)
        figures = face_figures(said, self.steady, self.held)
        wink = landmarks_winks.figures(points_of(run_net(net, self.winks.pixels)), self.winks.unit, self.sides)
        nothing = presence_figures(said, run_net(net, self.nothing.pixels))
        return {name: figures[name] for name in self.NAMES} | wink | nothing


def each_third(held: Held) -> Held:
    faces = Faces(*(getattr(held.faces, name)[::3] for name in Faces.__dataclass_fields__))
    details = {name: getattr(held, name)[::3] for name in ("source", "eyes", "name", "size", "boxes", "roll")}
    return Held(faces, held.empty, **details)


def points_of(said: Tensor) -> Tensor:
    """The landmarks in the net's outputs, (n, 40, 2) in half crops."""
    return said[:, 4:].reshape(-1, len(LABELS), 2)


def winks(held: Held) -> tuple[Batch, NDArray[np.int64]]:
    """Crops of joined faces as the face's own landmarks place them, and which eye is shut."""
    faces, sides = landmarks_winks.joined(held.faces)
    g = torch.Generator().manual_seed(9)
    place = tracked(len(faces), g, STEADY)
    still = Place(place.centre, place.half, place.turn, torch.ones(len(faces)))
    return plain(cut(faces, torch.arange(len(faces)), still)), sides


def run_net(net: nn.Module, pixels: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.cat([net.eval()(to_input(part)).float() for part in pixels.split(256)])


def run_file(network: Network, pixels: Tensor) -> Tensor:
    rows = []
    for part in pixels:
        stored = network.input.quantise(to_input(part[None]).numpy().reshape(network.input.shape))
        rows.append(network.outputs[0].dequantise(network.invoke(stored)).reshape(-1).copy())
    return torch.from_numpy(np.stack(rows))


def faces_batch(held: Held, strength: float = 1.0) -> Batch:
    """Every face held back once, as tracking places the crop."""
    g = torch.Generator().manual_seed(5)
    place = tracked(len(held.faces), g, strength)
    still = Place(place.centre, place.half, place.turn, torch.ones(len(held.faces)))
    return plain(cut(held.faces, torch.arange(len(held.faces)), still))


def nothing_batch(held: Held, count: int = 1500) -> Batch:
    """Crops beside faces held back, and of pictures without a face."""
    g = torch.Generator().manual_seed(6)
    roomy = torch.multinomial((held.faces.room > ROOM).double(), count, replacement=True, generator=g)
    beside_faces = plain(cut(held.faces, roomy, beside(count, g)))
    elsewhere = plain(empty(held.empty, torch.randint(len(held.empty), (count,), generator=g), g))
    both = together([beside_faces, elsewhere])
    rows = (both.sure > 0) & (both.present == 0)
    return Batch(*(getattr(both, name)[rows] for name in Batch.__dataclass_fields__))


def face_figures(said: Tensor, batch: Batch, held: Held) -> dict[str, float]:
    points = points_of(said)
    off = (points - batch.points).norm(dim=2).mean(dim=1)
    error = (off / batch.unit).numpy()
    apart = batch.points[:, LEFT_EYE].mean(1) - batch.points[:, RIGHT_EYE].mean(1)
    projected = (off / apart.norm(dim=1)).numpy()
    yaw = held.faces.pose[:, 0].abs().numpy()
    frontal, turned = yaw <= FRONTAL, (yaw > FRONTAL) & (yaw <= TURNED)
    far = (yaw > 35) & (yaw <= TURNED)
    figures = {
        "frontal": error[frontal].mean(),
        "turned": error[turned].mean(),
        "turned_35_to_60": error[far].mean(),
        "frontal_projected": projected[frontal].mean(),
        "turned_projected": projected[turned].mean(),
    }
    for source in ("drivers", "infrared"):
        figures[f"{source}"] = error[held.source == SOURCES.index(source)].mean()
    angles = ((said[:, 1:4] - batch.angles) * ANGLE).abs().numpy()
    for at, name in enumerate(("yaw", "pitch", "roll")):
        figures[name] = float(np.median(angles[yaw <= POSE, at]))
    figures["yaw_beyond_20"] = float(np.median(angles[turned & (yaw <= POSE), 0]))
    lids, mouth = apertures(points, batch.unit)
    true_lids, true_mouth = apertures(batch.points, batch.unit)
    figures["lids_correlation"] = correlation(lids, true_lids)
    figures["mouth_correlation"] = correlation(mouth, true_mouth)
    known = held.eyes > 0
    opened = held.eyes[known] == EYES.index("open")
    figures["eyes_auc"], figures["eyes_auc_teacher"] = auc(lids[known], opened), auc(true_lids[known], opened)
    figures["eyes_right"], figures["eyes_right_teacher"] = best(lids[known], opened), best(true_lids[known], opened)
    drivers = held.source == SOURCES.index("drivers")
    yawns = np.array([name.startswith("yawn") for name in held.name[drivers]])
    figures["yawn_auc"], figures["yawn_auc_teacher"] = auc(mouth[drivers], yawns), auc(true_mouth[drivers], yawns)
    return {name: float(value) for name, value in figures.items()}


def presence_figures(said: Tensor, nothing_said: Tensor) -> dict[str, float]:
    faces, empty_right = float((said[:, 0] > 0).float().mean()), float((nothing_said[:, 0] <= 0).float().mean())
    return {"presence": (faces + empty_right) / 2, "presence_faces": faces, "presence_nothing": empty_right}


def apertures(points: Tensor, unit: Tensor) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Lids (mean of both eyes) and mouth, in eye distances."""
    both = [
        (points[:, eye][:, list(LOWER)] - points[:, eye][:, list(UPPER)]).norm(dim=2) for eye in (RIGHT_EYE, LEFT_EYE)
    ]
    mouth = (points[:, LIP_LOWER] - points[:, LIP_UPPER]).norm(dim=1)
    return (torch.cat(both, 1).mean(dim=1) / unit).numpy(), (mouth / unit).numpy()


def correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def auc(values: NDArray[np.float32], positive: NDArray[np.bool_]) -> float:
    """Share of pairs in which the positive one has the larger value."""
    if positive.all() or not positive.any():
        return float("nan")
    return float((values[positive][:, None] > values[~positive][None]).mean())


def best(values: NDArray[np.float32], positive: NDArray[np.bool_]) -> float:
    """Largest share right with one threshold."""
    if len(values) == 0:
        return float("nan")
    return max(float(((values > limit) == positive).mean()) for limit in values)


def report(path: Path, net: nn.Module, held: Held, folder: Path, *, faces: int) -> dict[str, Any]:  # noqa: ARG001
    """Judge the file, write its card, and return the figures."""
    network = Network(path)
    batch, nothing = faces_batch(held), nothing_batch(held)
    said, nothing_said = run_file(network, batch.pixels), run_file(network, nothing.pixels)
    figures = face_figures(said, batch, held) | presence_figures(said, nothing_said)
    steady = faces_batch(held, STEADY)
    near = face_figures(run_file(network, steady.pixels), steady, held)
    figures |= {f"{name}_steady": near[name] for name in ("frontal", "turned", "eyes_auc")}
    worse = degrade(cut_again(held), torch.Generator().manual_seed(7))
    rough = face_figures(run_file(network, worse.pixels), worse, held)
    figures |= {f"{name}_degraded": rough[name] for name in ("frontal", "turned")}
    plain_net = face_figures(run_net(net, batch.pixels), batch, held)
    figures |= {f"{name}_float": plain_net[name] for name in ("frontal", "turned")}
    figures |= in_use(network, held)
    winking, sides = winks(held)
    figures |= landmarks_winks.figures(points_of(run_file(network, winking.pixels)), winking.unit, sides)
    figures["wink_n"] = len(sides)
    figures["ms"] = milliseconds(network, batch.pixels[0])
    content = {
        "name": "landmarks",
        "kind": "landmarks",
        "version": 1,
        "labels": list(LABELS),
        "input": {"width": SIDE, "height": SIDE, "colour": "gray", "mean": MEAN, "std": STD},
        "output": "logits",
        "around": AROUND,
        "angle": ANGLE,
        "values": ["presence", "yaw", "pitch", "roll", f"x and y of {len(LABELS)} landmarks"],
        "macs": multiply_adds(net, (SIDE, SIDE)),
        "figures": {name: round(value, 4) for name, value in figures.items()} | {"n": len(batch), "protocol": PROTOCOL},
        "trained_on": [
            {"name": name, "what": what, "licence": "of the pictures: not part of ferd, only weights ship"}
            for name, what in TRAINED_ON
        ]
        + [{"name": "labels", "what": f"{faces} faces, by MediaPipe's face landmarks", "licence": "Apache-2.0"}],
        "not_for": NOT_FOR,
        "licence": "Apache-2.0",
        "sha256": card.digest(path),
        "created": datetime.date.today().isoformat(),
    }
    assert network.outputs[0].shape == (1, VALUES)
    card.write(path.with_suffix(".json"), content)
    return {name: round(value, 4) for name, value in figures.items()}


def in_use(network: Network, held: Held) -> dict[str, float]:
    """As ferd reads a new face (by the detector's box, then at its landmarks so far; the mean of all looks), and one
    that it follows (at the landmarks of the look before)."""
    box, roll = held.boxes, held.roll
    crops = []
    for (x, y, side), tilt in zip(box.tolist(), roll.tolist(), strict=True):
        # Tiles are upright and the box is not: in the tile it lies turned the other way round.
        still = crop_of_box((-side / 2, -side / 2, side, side))
        turn = complex(np.cos(np.radians(tilt)), -np.sin(np.radians(tilt)))
        moved = complex(still.x, still.y) * turn
        crops.append(Crop(x + moved.real, y + moved.imag, still.side, -tilt))
    figures: dict[str, float] = {}
    seen: list[LandmarkReading] = []
    for number, (mirror, share) in enumerate(((False, 1.0), *LATER_LOOKS)):
        new = look(network, held, crops, mirror=mirror)
        seen = [mean_of(was, now, share) for was, now in zip(seen, new, strict=True)] if seen else new
        crops = [crop_of_points(r.points, r.roll) for r in seen]
        if number == 0:
            followed = look(network, held, crops)
            figures |= reading_figures("first_look", seen, held) | reading_figures("followed", followed, held)
    return figures | reading_figures("in_use", seen, held)


def look(network: Network, held: Held, crops: list[Crop], *, mirror: bool = False) -> list[LandmarkReading]:
    """Read each held-back face in its crop."""
    pixels = plain(cut(held.faces, torch.arange(len(crops)), place_of(crops))).pixels
    values = run_file(network, pixels.flip(2) if mirror else pixels).numpy()
    return [reading(mirrored(v) if mirror else v, crop) for v, crop in zip(values, crops, strict=True)]


def reading_figures(name: str, seen: list[LandmarkReading], held: Held) -> dict[str, float]:
    """Judge readings of the held-back faces, in pixels of their tiles. The names of the figures begin with `name`."""
    points = torch.from_numpy(np.stack([r.points for r in seen]))
    angles = torch.tensor([[r.yaw, r.pitch, r.roll] for r in seen]) / ANGLE
    batch = Batch(
        *(
            torch.empty(0),
            held.faces.points,
            torch.cat([held.faces.pose[:, :2] / ANGLE, torch.zeros(len(seen), 1)], 1),
        ),
        *(held.faces.pose[:, 2], torch.empty(0), torch.empty(0), torch.empty(0)),
    )
    found = face_figures(torch.cat([torch.zeros(len(seen), 1), angles, points.flatten(1)], 1), batch, held)
    names = ("frontal", "turned", "drivers", "infrared", "yaw", "pitch", "roll", "lids_correlation")
    figures = {key: found[key] for key in names}
    figures["presence"] = float(np.mean([r.presence > PRESENT for r in seen]))
    lids = np.array([(r.right_aperture + r.left_aperture) / 2 for r in seen])
    known = held.eyes > 0
    opened = held.eyes[known] == EYES.index("open")
    figures["eyes_auc"], figures["eyes_right"] = auc(lids[known], opened), best(lids[known], opened)
    return {f"{name}_{key}": value for key, value in figures.items()}


def place_of(crops: list[Crop]) -> Place:
    values = torch.tensor([list(crop) for crop in crops])
    return Place(values[:, :2], values[:, 2] / 2, torch.deg2rad(values[:, 3]), torch.ones(len(crops)))


def cut_again(held: Held) -> Batch:
    g = torch.Generator().manual_seed(8)
    place = tracked(len(held.faces), g)
    return cut(held.faces, torch.arange(len(held.faces)), place)


def milliseconds(network: Network, pixels: Tensor, times: int = 300) -> float:
    """CPU milliseconds of one call."""
    stored = network.input.quantise(to_input(pixels[None]).numpy().reshape(network.input.shape))
    begun = time.process_time()
    for _ in range(times):
        network.invoke(stored)
    return (time.process_time() - begun) / times * 1000
