"""What is made of the samples: a model of one's own classes, or ferd's own corrected. As `ferd model teach` does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ferd.errors import FerdError
from ferd.models.bundle import Bundle, sha256_of
from ferd.models.finetune import adapt, keep
from ferd.models.finetune import train as session
from ferd.models.finetune.features import FeatureNet
from ferd.models.finetune.samples import Collected, flips_allowed
from ferd.models.registry import find_bundle

SHIPPED = "expression"
"""The network below the head, as in `ferd model teach`."""


def shipped() -> Bundle:
    return find_bundle(SHIPPED)


def taught(name: str, collected: Sequence[Collected], tick: Callable[[float], None]) -> dict[str, Any]:
    """Figures of the held-back samples. Classes that were taught under this name before are kept. Raises FerdError."""
    net = FeatureNet(shipped())
    base = sha256_of(net.bundle.path)
    new = {one.label for one in collected}
    kept = [lesson for lesson in keep.load(name, base) if lesson.label not in new]
    labels = [*(lesson.label for lesson in kept), *(one.label for one in collected)]
    session.check(labels, [*(len(k.names) for k in kept), *(len(one.crops) for one in collected)])
    flip = flips_allowed(labels)
    lessons = [*kept, *(session.to_features(net, one, flip=flip) for one in collected)]
    report = session.teach(name, lessons, net, replace=True, tick=tick)
    keep.save(name, base, lessons)
    return {
        "name": name,
        "labels": list(report.bundle.labels),
        "accuracy": round(report.accuracy, 3),
        "confusion": report.confusion.tolist(),
        "taught": report.taught,
        "held_out": report.held_out,
    }


def adapted(name: str, collected: Sequence[Collected]) -> dict[str, Any]:
    """Of samples of adapt.LABELS; others are left alone. ``shift``: what each label gained, in logits."""
    mine = [one for one in collected if one.label in adapt.LABELS]
    if missing := [label for label in adapt.LABELS if label not in {one.label for one in mine}]:
        raise FerdError(f"record {' and '.join(missing)} first")
    session.check([one.label for one in mine], [len(one.crops) for one in mine])
    net = FeatureNet(shipped())
    made = adapt.adapt(name, [session.to_features(net, one, flip=True) for one in mine], net, replace=True)
    return {
        "name": name,
        "labels": list(made.bundle.labels),
        "before": round(made.before, 3),
        "after": round(made.after, 3),
        "shift": made.shift,
        "held_out": made.held_out,
    }
