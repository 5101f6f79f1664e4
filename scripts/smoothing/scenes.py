"""Make scenes of known truth: people who sit still, who talk, who pose expressions, who do both.

A change takes 0.3 to 0.6 s and is held for 1.5 to 5 s. A talker's phrases last 1 to 4 s with 3 to 5 syllables a
second; a syllable lowers the jaw by up to 0.5 eye distances and spreads or rounds the lips. Everybody blinks, sways and
is filmed with noise and flicker. Scenes have 30 frames a second; Trace.at takes fewer of them.
"""

from __future__ import annotations

import cv2
import numpy as np

from smoothing.people import SIZE, Person, Portrait
from smoothing.puppet import Pose, Puppet
from smoothing.traces import Cut, FaceReader, Trace, TraceBuilder

FPS = 30
SECONDS = 20.0
KINDS = ("still", "talk", "faces", "talk and faces")


def make_scene(person: Person, kind: str, seed: int, reader: FaceReader, puppet: Puppet) -> Trace:
    """Make a scene of SECONDS."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    cuts, portraits = _script(rng, person, kind)
    n = int(SECONDS * FPS)
    t = np.arange(n) / FPS
    talking = kind.startswith("talk")
    jaw, spread = _speech(rng, t) if talking else (np.zeros(n), np.zeros(n))
    lids = _blinks(rng, t)
    sway = np.stack([_smooth(rng, n, 25) for _ in range(3)], axis=1)
    sway += 0.35 * np.stack([_smooth(rng, n, 5) for _ in range(3)], axis=1) * (1.0 if talking else 0.4)
    light, flicker = 1 + 0.06 * _smooth(rng, n, 40), rng.normal(1, 0.01, n)
    gain, blur, noise = rng.uniform(0.75, 1.15), rng.uniform(0.3, 1.1), rng.uniform(2, 5)
    reader.reset()
    builder = TraceBuilder(reader.classifier.labels)
    for k in range(n):
        now = max(i for i, cut in enumerate(cuts) if cut.begin <= t[k])
        share = 1.0 if now == 0 else _ease((t[k] - cuts[now].begin) / (cuts[now].end - cuts[now].begin))
        pose = Pose(float(jaw[k]), float(spread[k]), float(lids[k]))
        image, points = puppet.draw(portraits[max(now - 1, 0)], portraits[now], share, pose)
        picture, points = _film(image, points, sway[k], float(gain * light[k] * flicker[k]), float(blur))
        gray = np.clip(picture + rng.normal(0, noise, picture.shape), 0, 255).astype(np.uint8)
        builder.add(float(t[k]), *reader(gray, points))
    name = f"{person.name}, {cuts[0].label}" if len(cuts) == 1 else person.name
    return builder.build(name, kind, cuts)


def _script(rng: np.random.Generator, person: Person, kind: str) -> tuple[list[Cut], list[Portrait]]:
    """Choose the expressions: most talkers look neutral or happy; half of all changes lead to neutral or away."""
    known = {portrait.label: portrait for portrait in person.portraits}
    usual = [name for name in ("neutral", "neutral", "happiness") if kind == "talk" and name in known]
    label = str(rng.choice(usual if usual and rng.random() < 0.8 else sorted(known)))
    cuts, end = [Cut(0.0, 0.0, label)], float(rng.uniform(2, 4))
    while kind.endswith("faces") and end < SECONDS - 2:
        others = [name for name in sorted(known) if name != label]
        to_neutral = label != "neutral" and "neutral" in known and rng.random() < 0.5
        label = "neutral" if to_neutral else str(rng.choice(others))
        begin, end = end, end + float(rng.uniform(0.3, 0.6))
        cuts.append(Cut(begin, end, label))
        end += float(rng.uniform(1.5, 5))
    return cuts, [known[cut.label] for cut in cuts]


def _speech(rng: np.random.Generator, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the jaw and the spread of the lips at each time."""
    jaw, spread = np.zeros(len(t)), np.zeros(len(t))
    now, vigour = 0.3, rng.uniform(0.6, 1.4)
    while now < t[-1]:
        phrase = now + rng.uniform(1, 4)
        while now < phrase:
            length = rng.uniform(0.15, 0.4)
            bump = np.where(np.abs(t - now) < length / 2, 0.5 + 0.5 * np.cos(2 * np.pi * (t - now) / length), 0)
            jaw += vigour * min(rng.gamma(2, 0.1), 0.45) * bump
            wide = np.where(np.abs(t - now) < length * 0.7, 0.5 + 0.5 * np.cos(np.pi * (t - now) / length / 0.7), 0)
            spread += vigour * rng.normal(0, 0.08) * wide
            now += length * rng.uniform(0.6, 1.1)
        now += rng.uniform(0.2, 1.2)
    return np.minimum(jaw, 0.5), np.clip(spread, -0.2, 0.2)


def _blinks(rng: np.random.Generator, t: np.ndarray) -> np.ndarray:
    lids, now = np.zeros(len(t)), rng.uniform(0.5, 4)
    while now < t[-1]:
        lids = np.maximum(lids, np.clip(1.3 - np.abs(t - now) / 0.11, 0, 1))
        now += rng.uniform(1.5, 5)
    return lids


def _smooth(rng: np.random.Generator, n: int, width: float) -> np.ndarray:
    """Return noise of mean 0 and standard deviation 1 that changes over about `width` frames."""
    reach = int(4 * width) + 1
    kernel = np.exp(-0.5 * np.square(np.arange(-reach, reach + 1) / width))
    values = np.convolve(rng.normal(size=n + 2 * reach), kernel / np.sqrt(np.square(kernel).sum()), mode="valid")
    return np.asarray(values[:n])


def _ease(share: float) -> float:
    share = min(max(share, 0.0), 1.0)
    return share * share * (3 - 2 * share)


def _film(
    image: np.ndarray, points: np.ndarray, sway: np.ndarray, gain: float, blur: float
) -> tuple[np.ndarray, np.ndarray]:
    """Move and light the picture: shifts of some pixels, some degrees of roll."""
    matrix = cv2.getRotationMatrix2D((SIZE[0] / 2, SIZE[1] / 2), 2.5 * float(sway[0]), 1.0)
    matrix[:, 2] += 2.5 * sway[1:3]
    picture = cv2.warpAffine(image, matrix, SIZE, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    picture = cv2.GaussianBlur(picture, (0, 0), blur)
    return np.asarray(gain * picture), points @ matrix[:, :2].T + matrix[:, 2]
