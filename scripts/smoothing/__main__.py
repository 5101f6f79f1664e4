"""Measure what the smoothing publishes, on clips and on scenes made from portraits, at four frame rates."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2

from ferd.errors import FerdError
from ferd.models.bundle import sha256_of
from ferd.models.registry import find_bundle
from smoothing.judge import FILTERS, Delays, changes_a_minute, delays
from smoothing.people import read_people
from smoothing.puppet import Puppet
from smoothing.scenes import KINDS, make_scene
from smoothing.traces import FaceReader, Trace, load, read_clip, save

RATES = (5, 10, 15, 30)
CLIPS = {".mp4", ".avi", ".mkv", ".mov", ".webm"}


def main() -> int:
    options = arguments()
    cv2.setNumThreads(1)
    results = {}
    for model in options.model:
        try:
            traces = list(read_traces(options, model))
        except (FerdError, ValueError) as error:
            print(f"bench-smoothing: {error}", file=sys.stderr)
            return 1
        if not traces:
            print(
                f"bench-smoothing: {options.data} contains neither clips/*.mp4 nor kdef/LABEL/*.jpg nor "
                "jaffe/LABEL/*.jpg; --data names the folder",
                file=sys.stderr,
            )
            return 1
        results[model] = measure(traces)
        if not options.json:
            print(f"model {model}\n{table(results[model])}\n")
    if options.json:
        print(json.dumps(results, indent=2))
    if options.plot:
        plot(results[options.model[0]], options.plot)
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench-smoothing", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("FERD_DATA", "../shared/data")),
        help="folder with clips/, kdef/LABEL/ and jaffe/LABEL/; what is missing is left out",
    )  # fmt: skip
    parser.add_argument("--model", action="append", help="name or path; may be given several times")
    parser.add_argument("--half", choices=("tune", "held-out"), default="held-out", help="whose portraits are animated")
    parser.add_argument("--people", type=int, default=8, help="how many people; 0: clips only")
    parser.add_argument("--cache", type=Path, default=Path("build/smoothing"), help="folder for what was read")
    parser.add_argument("--plot", type=Path, metavar="FILE.png")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.model = options.model or ["expression"]
    return options


def read_traces(options: argparse.Namespace, model: str) -> Iterator[Trace]:
    """Yield the traces of clips and scenes; they are read once for each version of the models."""
    version = f"{model.replace('/', '_')}-{checksum(model)}-{checksum('landmarks')}"
    folder = options.cache / version
    for path in sorted(p for p in (options.data / "clips").glob("*") if p.suffix in CLIPS):
        cached = folder / "clips" / f"{path.stem}.npz"
        if not cached.exists():
            report(f"reading {path.name}")
            try:
                save(read_clip(path, model, "talk" if "talk" in path.stem else "video"), cached)
            except ValueError as error:
                report(f"{error}: left out")
                continue
        yield load(cached)
    if options.people <= 0:
        return
    people = read_people(options.data, options.half)[: options.people]
    reader, puppet = FaceReader(model), Puppet()
    for number, person in enumerate(people):
        for kind in KINDS:
            cached = folder / options.half / f"{person.name}-{kind}.npz"
            if not cached.exists():
                report(f"animating {person.name}, {kind}")
                save(make_scene(person, kind, number, reader, puppet), cached)
            yield load(cached)


def checksum(model: str) -> str:
    return sha256_of(find_bundle(model).path)[:8]


def measure(traces: Sequence[Trace]) -> dict[str, Any]:
    """Return the figures: filter -> frame rate -> measure, and changes a minute of each clip."""
    clips = [trace for trace in traces if not trace.cuts]
    scenes = {kind: [trace for trace in traces if trace.cuts and trace.kind == kind] for kind in KINDS}
    figures: dict[str, Any] = {}
    for name, publish in FILTERS.items():
        for fps in RATES:
            row: dict[str, Any] = {}
            for kind in ("still", "talk"):
                if scenes[kind]:
                    row[kind] = changes_a_minute([trace.at(fps) for trace in scenes[kind]], publish)
            for kind in ("faces", "talk and faces"):
                if scenes[kind]:
                    row[kind] = asdict(delays(scenes[kind], fps, publish))
            row["clips"] = {trace.name: changes_a_minute([trace.at(fps)], publish) for trace in clips}
            figures.setdefault(name, {})[fps] = row
    return figures


def table(figures: dict[str, Any]) -> str:
    """Return one table: changes a minute where nothing changes, delays where something does, changes in each clip."""
    clips = list(next(iter(figures["calm"].values()))["clips"])
    head = f"{'':<12}{'fps':>4} |{'still':>7}{'talk':>7} |{'posed: median':>14}{'p95':>6}{'never %':>9}{'extra':>7} |"
    head += f"{'and talk: median':>17}{'p95':>6}{'never %':>9}{'extra':>7} |" + "".join(
        f" {clip[:12]:>12}" for clip in clips
    )
    lines = ["changes a minute | delay in seconds from the middle of a change | changes a minute in each clip", head]
    for name, rates in figures.items():
        for fps, row in rates.items():
            line = f"{name:<12}{fps:>4} |{_number(row.get('still')):>7}{_number(row.get('talk')):>7} |"
            for kind, width in (("faces", 14), ("talk and faces", 17)):
                d = Delays(**row[kind]) if kind in row else None
                values = (None,) * 4 if d is None else (d.median, d.p95, d.never, d.extra)
                line += (
                    "".join(
                        f"{_number(value, digits):>{w}}"
                        for value, w, digits in zip(values, (width, 6, 9, 7), (2, 2, 0, 1), strict=True)
                    )
                    + " |"
                )
            lines.append(line + "".join(f" {_number(row['clips'][clip]):>12}" for clip in clips))
    return "\n".join(lines)


def plot(figures: dict[str, Any], file: Path) -> None:
    """Draw changes a minute of talkers and the median delay of posed changes as bars."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4), layout="constrained")
    titles = {
        "talk": "changes a minute while talking",
        "median": "posed: median delay, s",
        "p95": "posed: p95 delay, s",
    }
    for axes, (key, title) in zip(figure.subplots(1, 3), titles.items(), strict=True):
        for k, (name, rates) in enumerate(figures.items()):
            values = [row[key] if key == "talk" else row["faces"][key] for row in rates.values()]
            axes.bar([x + 0.2 * k for x in range(len(RATES))], values, 0.18, label=name)
        axes.set_xticks([x + 0.3 for x in range(len(RATES))], [f"{fps} fps" for fps in RATES])
        axes.set_title(title)
    figure.axes[0].legend()
    figure.savefig(file, dpi=110)


def report(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _number(value: float | None, digits: int = 1) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.{digits}f}"


if __name__ == "__main__":
    raise SystemExit(main())
