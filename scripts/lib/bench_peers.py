"""Measure other programs beside ferd on the same picture: see scripts/bench-peers.

Each is measured in a process of its own, by turns in several rounds, so that the ratios hold on a busy machine too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROUNDS = 3
WARM_UP, FRAMES, SECONDS = 3, 100, 5.0
"""Of one round: frames before the measurement, and at most so many frames and seconds."""
HERE = Path(__file__).resolve()
PEERS = HERE.parents[2] / "build/peers"
Step = Callable[[], object]


def _ferd(image: Any, *, search: bool) -> Step:
    import itertools

    from ferd.config import CameraConfig, Config
    from ferd.evaluation.bench import searching_pipeline
    from ferd.event_builder import EventBuilder
    from ferd.types import Frame
    from ferd.vision.loader import Models, set_opencv_threads
    from ferd.vision.pipeline import Pipeline

    config = Config()
    models = Models(config)
    set_opencv_threads(models.detector)
    pipeline = searching_pipeline(models, config) if search else Pipeline.of(models, config, CameraConfig())
    builder = EventBuilder("bench", "bench")
    count = itertools.count()

    def step() -> object:
        t = next(count) / 15
        reading = pipeline.step(Frame(t, image))
        builder.update(reading, t)
        return reading.faces or t < 1

    return step


def _yunet(image: Any, file: str) -> Step:
    import cv2

    cv2.setNumThreads(1)
    small = cv2.resize(image, (320, 240), interpolation=cv2.INTER_AREA)
    net = cv2.FaceDetectorYN.create(file, "", (320, 240), 0.7)
    return lambda: net.detect(small)[1] is not None


def _fer(image: Any) -> Step:
    try:
        from fer import FER  # type: ignore[import-not-found]
    except ImportError:
        from fer.fer import FER  # type: ignore[import-not-found]
    detector = FER()
    return lambda: detector.detect_emotions(image)


def _mediapipe(image: Any, *, mesh: bool) -> Step:
    import mediapipe as mp  # type: ignore[import-not-found]

    rgb = np.ascontiguousarray(image[:, :, ::-1])
    if mesh:
        landmarks = mp.solutions.face_mesh.FaceMesh(max_num_faces=1)
        return lambda: landmarks.process(rgb).multi_face_landmarks
    detection = mp.solutions.face_detection.FaceDetection()
    return lambda: detection.process(rgb).detections


PROGRAMS: dict[str, tuple[str, Callable[..., Step]]] = {
    "ferd, face followed": ("faces, landmarks, expression, published values", lambda i, _f: _ferd(i, search=False)),
    "ferd, every frame searched": ("the same with the detector in each frame", lambda i, _f: _ferd(i, search=True)),
    "fer": ("faces (Haar), expression", lambda i, _f: _fer(i)),
    "MediaPipe face detection": ("faces", lambda i, _f: _mediapipe(i, mesh=False)),
    "MediaPipe face mesh": ("faces, landmarks", lambda i, _f: _mediapipe(i, mesh=True)),
    "OpenCV YuNet 320x240": ("faces, five landmarks", _yunet),
}


def measure(name: str, image: Path, file: str) -> dict[str, Any]:
    """Measure one of PROGRAMS in this process: median CPU milliseconds of a frame (all threads), resident memory."""
    step = PROGRAMS[name][1](np.load(image), file)
    found: object = None
    for _ in range(WARM_UP if "ferd" not in name else 15):
        found = step()
    taken, end = [], time.monotonic() + SECONDS
    while len(taken) < FRAMES and (time.monotonic() < end or not taken):
        start = time.process_time()
        found = step()
        taken.append(time.process_time() - start)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    median, mean = 1000 * float(np.median(taken)), 1000 * float(np.mean(taken))
    rss = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    return {"cpu_ms": median, "mean_cpu_ms": mean, "rss_mb": rss, "found": bool(found)}


def _in_process(python: str, name: str, image: Path, file: str) -> dict[str, Any] | str:
    """Return the figures, or the last line of what went wrong."""
    environment = os.environ | {"PYTHONPATH": str(HERE.parents[2]) if name.startswith("ferd") else ""}
    command = [python, str(HERE), "--measure", name, str(image), file]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    lines = done.stdout.strip().splitlines() if done.returncode == 0 else done.stderr.strip().splitlines()
    if done.returncode or not lines:
        return lines[-1] if lines else f"ended with {done.returncode}"
    figures: dict[str, Any] = json.loads(lines[-1])
    return figures


def _python_of(name: str, given: str) -> str:
    """Return the Python that runs a program: the given one, or that of `--install`; for ferd and OpenCV this one."""
    if name.startswith(("ferd", "OpenCV")):
        return sys.executable
    return given or str(PEERS / ("fer" if name == "fer" else "mediapipe") / "bin/python")


def _rounds(python: str, yunet: str, image: Path) -> dict[str, dict[str, Any] | str]:
    """Measure all by turns; of each the best round counts. A text says why one is missing."""
    results: dict[str, dict[str, Any] | str] = {}
    for round_ in range(ROUNDS):
        for name in PROGRAMS:
            if isinstance(results.get(name), str):
                continue
            if "YuNet" in name and not yunet:
                results[name] = "no file; give --yunet FILE"
                continue
            runs_in = _python_of(name, python)
            if not Path(runs_in).exists():
                results[name] = "not installed; --install, or --python PATH"
                continue
            print(f"round {round_ + 1} of {ROUNDS}: {name}", file=sys.stderr)
            new, old = _in_process(runs_in, name, image, yunet), results.get(name)
            better = isinstance(new, str) or not isinstance(old, dict) or new["cpu_ms"] < old["cpu_ms"]
            results[name] = new if better else results[name]
    return results


def _table(results: dict[str, dict[str, Any] | str]) -> str:
    ferd = results["ferd, face followed"]
    base = ferd["cpu_ms"] if isinstance(ferd, dict) else None
    lines = [f"{'':28}{'cpu ms':>8}{'mean':>8}{'times':>7}{'MB':>6}  finds"]
    for name, result in results.items():
        if isinstance(result, str):
            lines.append(f"{name:28}  missing: {result}")
            continue
        times = f"{result['cpu_ms'] / base:.1f}" if base else ""
        what = PROGRAMS[name][0] if result["found"] else "nothing in this picture"
        mean, memory = f"{result['mean_cpu_ms']:.2f}", f"{result['rss_mb']:.0f}"
        lines.append(f"{name:28}{result['cpu_ms']:>8.2f}{mean:>8}{times:>7}{memory:>6}  {what}")
    return "\n".join(lines)


def main() -> int:
    if sys.argv[1:2] == ["--measure"]:
        name, image, file = sys.argv[2:5]
        print(json.dumps(measure(name, Path(image), file)))
        return 0
    parser = argparse.ArgumentParser(prog="scripts/bench-peers", description=__doc__)
    parser.add_argument("--python", default="", metavar="PATH", help="a Python with fer and MediaPipe")
    parser.add_argument("--yunet", default="", metavar="FILE", help="YuNet's .onnx file")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args()
    sys.path.insert(0, str(HERE.parents[2]))
    from ferd.sources.demo import picture

    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "picture.npy"
        np.save(image, picture())
        results = _rounds(args.python, args.yunet, image)
    print(json.dumps(results, indent=2) if args.json else _table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
