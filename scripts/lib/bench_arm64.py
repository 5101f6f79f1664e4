"""Count the instructions of a frame under QEMU's user emulation: see scripts/bench-arm64.

Each way is run with N and with 2N frames; the difference, divided by N, is one frame without the start.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/arm64"
FRAMES = 50
WAYS = ("follow", "search", "wire", "decode", "floor")
ABOUT = {
    "follow": "a gray frame with one face that is followed",
    "search": "the same with the detector in every frame",
    "wire": "from the bytes of a JPEG, followed",
    "wire-search": "from the bytes of a JPEG, the detector in every frame",
    "decode": "decoding the JPEG to gray",
    "floor": "the bare calls of detector and models",
}
LIBRARIES = ("paho-mqtt", "pydantic", "rich")
"""Of the dependencies in pyproject.toml, those that are taken as they are."""
RUNTIME = ("tflite-runtime==2.14.0", "numpy<2", "opencv-python-headless<4.12")
"""The rest. LiteRT 2.3 crashes under QEMU 7.2 with each processor that was tried; its predecessor, for Python 3.11,
runs. Its networks need other numbers of instructions than LiteRT's; everything around them is the same."""


class MissingError(Exception):
    """Something is not installed; the text says what, and how to get it."""


def requirements() -> list[str]:
    """Return ferd's dependencies without their conditions, which pip would judge by this machine."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    plain = [line.partition(";")[0].strip() for line in project["dependencies"]]
    return [line for line in plain if re.split(r"[<>=~!]", line)[0] in LIBRARIES] + list(RUNTIME)


def find_qemu(name: str, given: str | None) -> str:
    """Return the path of an emulator with plugins."""
    path = given or shutil.which(name)
    if path is None:
        raise MissingError(f"{name} is missing: sudo apt-get install qemu-user")
    if "-plugin" not in subprocess.run([path, "--help"], check=False, capture_output=True, text=True).stdout:
        raise MissingError(
            f"{path} is built without plugins, as that of Debian 13 is: take qemu-user of Debian 12, or build QEMU "
            "with --enable-plugins, and name it by --qemu"
        )
    return path


def find_plugin(qemu: str, given: str | None) -> str:
    """Return the plugin that counts: the given one, or count_instructions.c, compiled for this QEMU."""
    if given is not None:
        return given
    about = subprocess.run([qemu, "--version"], check=True, capture_output=True, text=True).stdout
    version = re.search(r"version (\d+)\.(\d+)", about)
    api = 1 if version is not None and (int(version[1]), int(version[2])) < (8, 2) else 2
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise MissingError("a C compiler is missing: sudo apt-get install gcc; or give QEMU's libinsn.so by --plugin")
    BUILD.mkdir(parents=True, exist_ok=True)
    plugin, source = BUILD / f"count_instructions-{api}.so", ROOT / "scripts/lib/count_instructions.c"
    command = [compiler, "-shared", "-fPIC", "-O2", f"-DAPI_VERSION={api}", "-o", str(plugin), str(source)]
    subprocess.run(command, check=True)
    return str(plugin)


def arm64_python() -> tuple[list[str], dict[str, str]]:
    """Return the options and the program of QEMU for the arm64 Python, and its environment."""
    found = sorted((BUILD / "system/usr/bin").glob("python3.*[0-9]"))
    if not found or not (BUILD / "site/numpy").is_dir():
        raise MissingError("there is no arm64 Python in build/arm64: ./scripts/bench-arm64 --install (400 MB)")
    return ["-L", str(BUILD / "system"), str(found[0])], {"PYTHONPATH": f"{ROOT}:{BUILD / 'site'}"}


def own_python() -> tuple[list[str], dict[str, str]]:
    """Return the same for the Python that runs this."""
    return [sys.executable], {"PYTHONPATH": str(ROOT)}


def count(command: Sequence[str], environ: dict[str, str], way: str, frames: int) -> int:
    """Run one way, and return the instructions of the whole process."""
    # The same hashes and one thread: two runs then give the same count to four digits.
    fixed = {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        full = [*command[:1], "-d", "plugin", "-D", str(log), *command[1:]]
        script = [str(ROOT / "scripts/lib/bench_frames.py"), way, str(frames)]
        done = subprocess.run(
            [*full, *script], check=False, capture_output=True, text=True, env={**os.environ, **environ, **fixed}
        )
        if done.returncode != 0:
            raise MissingError(f"{way}: ended with {done.returncode}: {done.stderr.strip()[-400:]}")
        found = re.findall(r"total insns: (\d+)", log.read_text())
    if not found:
        raise MissingError("the plugin printed no count; with QEMU's libinsn.so of another version, leave out --plugin")
    return int(found[-1])


def main() -> int:
    parser = argparse.ArgumentParser(description="Count the instructions of a frame under QEMU.")
    parser.add_argument("--x86-64", action="store_true", dest="x86", help="this machine's Python, under qemu-x86_64")
    parser.add_argument("--frames", type=int, default=FRAMES, metavar="N", help=f"N and 2N are run (default {FRAMES})")
    parser.add_argument("--way", action="append", choices=ABOUT, help="may be repeated; default: most of them")
    parser.add_argument("--cpu", help="QEMU's name of the processor (default: cortex-a72 for arm64, a Pi 4; max)")
    parser.add_argument("--qemu", metavar="PATH", help="an emulator with plugins")
    parser.add_argument("--plugin", metavar="PATH", help="QEMU's libinsn.so, instead of ferd's own plugin")
    parser.add_argument("--requirements", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.requirements:
        print(*requirements(), sep="\n")
        return 0
    if args.frames < 1:
        parser.error("--frames must be at least 1")
    try:
        python, environ = own_python() if args.x86 else arm64_python()
        qemu = find_qemu("qemu-x86_64" if args.x86 else "qemu-aarch64", args.qemu)
        cpu = args.cpu or ("max" if args.x86 else "cortex-a72")
        command = [qemu, "-cpu", cpu, "-plugin", find_plugin(qemu, args.plugin), *python]
        print(f"million instructions a frame, {'x86-64' if args.x86 else 'arm64'} ({cpu})", flush=True)
        for way in args.way or WAYS:
            one, two = (count(command, environ, way, times * args.frames) for times in (1, 2))
            print(f"{(two - one) / args.frames / 1e6:9.2f}  {way:12} {ABOUT[way]}", flush=True)
    except MissingError as missing:
        print(f"error: {missing}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
