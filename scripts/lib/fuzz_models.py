"""Damage models, labels, cards and archives at random and import them: see scripts/fuzz-models."""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from endurance import table

from ferd.errors import FerdError
from ferd.models.importer.install import ImportOptions, import_model
from ferd.models.registry import remove, shipped_dir, user_dir
from ferd.vision.classifier import Classifier

SLOWEST_S = 150.0
"""A trial may take 60 s, twice, on a busy machine."""
NAME = "fuzzed"
WORDS = (
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"None",
    b"{",
    b'["',
    b"item {",
    b"\n\n",
    b"0,",
    b"a" * 5000,
    b"\x1b[31m",
)


def damage(data: bytes, rng: random.Random) -> bytes:
    """Return the data with one to five changes: bits, numbers, parts that are cut, doubled or moved."""
    bytes_ = bytearray(data)
    for _ in range(rng.randint(1, 5)):
        if not bytes_:
            break
        at = rng.randrange(len(bytes_))
        length = min(rng.choice((1, 4, 16, 256, 4096)), len(bytes_) - at)
        kind = rng.randrange(7)
        if kind == 0:
            bytes_[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            bytes_[at : at + 4] = rng.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, rng.getrandbits(32))).to_bytes(4, "little")
        elif kind == 2:
            del bytes_[at : at + length]
        elif kind == 3:
            bytes_[at:at] = bytes_[at : at + length]
        elif kind == 4:
            bytes_[at : at + length] = rng.randbytes(length)
        elif kind == 5:
            bytes_[at:at] = rng.choice(WORDS)
        else:
            del bytes_[max(at, 8) :]
    return bytes(bytes_)


def write_case(folder: Path, rng: random.Random) -> tuple[Path, str]:
    """Write an export with damage into the folder; return it and the kind of damage."""
    name = rng.choice(("expression", "expression", "expression-ferplus", "eyes", "face"))
    model = (shipped_dir() / f"{name}.tflite").read_bytes()
    names = json.loads((shipped_dir() / f"{name}.json").read_text())["labels"]
    labels = "".join(f"{number} {label}\n" for number, label in enumerate(names)).encode()
    kinds: dict[str, Callable[[], Path]] = {
        "head": lambda: _folder(folder, damage(model[:4000], rng) + model[4000:], labels),
        "model": lambda: _folder(folder, damage(model, rng), labels),
        "labels": lambda: _folder(folder, model, damage(labels, rng)),
        "archive": lambda: _zip(folder, model, labels, rng),
        "card": lambda: _carded(folder, model, name, rng),
    }
    kind = rng.choice((*kinds, "head", "model"))
    return kinds[kind](), kind


def _folder(folder: Path, model: bytes, labels: bytes) -> Path:
    (folder / "model.tflite").write_bytes(model)
    (folder / "labels.txt").write_bytes(labels)
    return folder


def _zip(folder: Path, model: bytes, labels: bytes, rng: random.Random) -> Path:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        archive.writestr("model.tflite", model)
        archive.writestr("labels.txt", labels)
    data = packed.getvalue()
    middle = rng.choice((0, len(data) - min(len(data), 300)))  # names and sizes stand at both ends
    path = folder / "export.zip"
    path.write_bytes(data[:middle] + damage(data[middle : middle + 300], rng) + data[middle + 300 :])
    return path


def _carded(folder: Path, model: bytes, name: str, rng: random.Random) -> Path:
    """A model with its card, as `[expression] model` names it: loaded, not imported."""
    (folder / "model.tflite").write_bytes(damage(model, rng) if rng.random() < 0.5 else model)
    (folder / "model.json").write_bytes(damage((shipped_dir() / f"{name}.json").read_bytes(), rng))
    return folder / "model.tflite"


def work(line: Connection) -> None:
    """Import and run what comes along the line, and answer with what became of it."""
    from ferd.models.bundle import read_bundle

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the runtime's own messages
    while True:
        path, kind = line.recv()
        try:
            bundle = read_bundle(path) if kind == "card" else import_model(path, ImportOptions(NAME, replace=True))
            classifier = Classifier(bundle)
            shape = classifier.input.shape[1:3] if classifier.input.layout == "nhwc" else classifier.input.shape[2:]
            image = np.zeros(shape if classifier.input.colour == "gray" else (*shape, 3), np.uint8)
            scores = classifier(image)
            line.send(("accepted", "" if np.isfinite(scores).all() else "scores are not finite"))
        except FerdError as error:
            line.send(("refused", "" if str(error).strip() else "without a reason"))
        except Exception as error:  # noqa: BLE001  # that is what is looked for
            line.send(("raised", repr(error)))


class Worker:
    """A process that imports; another one replaces it when it dies or hangs."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._line, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.Process(target=work, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def run(self, path: Path, kind: str) -> tuple[str, str]:
        try:
            self._line.send((path, kind))
            if self._line.poll(SLOWEST_S):
                answer: tuple[str, str] = self._line.recv()
                return answer
            self._process.kill()
            found = "hung", f"no answer within {SLOWEST_S:g} s"
        except (EOFError, OSError):
            self._process.join(10)
            found = "crashed", f"exit code {self._process.exitcode}"
        self._process.join(10)
        self._start()
        return found

    def close(self) -> None:
        self._process.kill()
        self._process.join(10)


def fuzz(seed: int, minutes: float, count: int | None) -> dict[str, Any]:
    outcomes: Counter[str] = Counter()
    faults: list[dict[str, Any]] = []
    end = time.monotonic() + 60 * minutes
    number, slowest, worker = 0, 0.0, Worker()
    while number < count if count is not None else time.monotonic() < end:
        rng = random.Random(f"{seed}/{number}")
        with tempfile.TemporaryDirectory(prefix="ferd-fuzz-") as name:
            path, kind = write_case(Path(name), rng)
            began = time.monotonic()
            outcome, fault = worker.run(path, kind)
            slowest = max(slowest, time.monotonic() - began)
        outcomes[f"{kind}: {outcome}"] += 1
        stored = sorted(file.name for file in user_dir().glob("*")) if user_dir().is_dir() else []
        if outcome == "accepted" and kind != "card":
            remove(NAME)
        elif outcome != "crashed" and stored:
            fault = f"left {', '.join(stored)}"
        if fault or outcome in ("raised", "crashed", "hung"):
            faults.append({"number": number, "kind": kind, "outcome": outcome, "fault": fault})
        number += 1
    worker.close()
    return {"seed": seed, "cases": number, "slowest_s": round(slowest, 1), "outcomes": dict(outcomes), "faults": faults}


def main() -> int:
    parser = argparse.ArgumentParser(description="import damaged models; see scripts/fuzz-models")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--count", type=int, help="so many cases instead")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ferd-fuzz-state-") as state:
        os.environ["STATE_DIRECTORY"] = state
        result = fuzz(args.seed, args.minutes, args.count)
    if args.json:
        print(json.dumps(result))
    else:
        rows = [("seed", str(args.seed)), ("cases", str(result["cases"])), ("slowest", f"{result['slowest_s']} s")]
        rows += [(name, str(count)) for name, count in sorted(result["outcomes"].items())]
        print(table([*rows, ("faults", str(len(result["faults"])))]))
        for fault in result["faults"]:
            print(f"  case {fault['number']} ({fault['kind']}): {fault['outcome']}: {fault['fault']}")
    return 1 if result["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
