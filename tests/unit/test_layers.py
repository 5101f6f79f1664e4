"""The walls of the house: which module may know which library, and which way data flows."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FERD = ROOT / "ferd"
MODULES = sorted(FERD.rglob("*.py"))

# library -> the only modules (or folders) that may import it
ONLY = {
    "paho": ("publish/mqtt.py",),
    "sqlite3": ("publish/journal_file.py",),
    "amqtt": ("publish/embedded.py",),
    "picamera2": ("camera/picamera.py",),
    "libcamera": ("camera/picamera.py",),
    "gpiozero": ("buzzer/pin.py",),
    "lgpio": ("buzzer/pin.py",),
    "ai_edge_litert": ("model/runtime.py", "model/teach/surgery.py"),  # the latter its file format only
    "tflite_runtime": ("model/runtime.py",),
    "pydantic": ("config/", "publish/payloads.py", "publish/topics.py", "publish/schema.py"),
    "tensorflow": ("model/add/to_int8.py",),
    "tf_keras": ("model/add/to_int8.py",),
    "keras": ("model/add/to_int8.py",),
    "rich": ("cli/",),
    "starlette": ("web/",),
    "uvicorn": ("web/",),
    "prometheus_client": ("web/metrics.py",),
    "tomlkit": ("web/save.py",),
    "matplotlib": ("evaluate/plot.py", "evaluate/fatigue_plot.py"),
}
# folder -> what it may import of ferd
PURE = {
    "mind/": ("ferd.types", "ferd.policy"),
    "buzzer/patterns.py": (),
    "buzzer/mixer.py": ("ferd.types", "ferd.outputs.buzzer.patterns"),
    "data.py": (),
    "errors.py": (),
    "model/runtime.py": ("ferd.errors",),
    "model/trial.py": ("ferd.errors", "ferd.models.runtime"),
}
CLOCKS = {"time", "datetime", "random", "socket", "threading", "os"}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def place(path):
    return path.relative_to(FERD).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_libraries_stay_behind_their_walls(path):
    for name in imports(path):
        allowed = ONLY.get(name.partition(".")[0])
        assert allowed is None or place(path).startswith(allowed), f"{place(path)} imports {name}; only {allowed} may"


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_pure_modules_know_no_edges(path):
    for room, allowed in PURE.items():
        if place(path).startswith(room):
            ours = [name for name in imports(path) if name.partition(".")[0] == "ferd"]
            assert all(name.startswith(allowed) for name in ours), f"{place(path)} imports {ours}"


@pytest.mark.parametrize("path", sorted((FERD / "mind").rglob("*.py")), ids=place)
def test_the_mind_has_no_clock(path):
    assert not CLOCKS & {name.partition(".")[0] for name in imports(path)}


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_only_cameras_open_cameras(path):
    assert "VideoCapture" not in path.read_text(encoding="utf-8") or place(path).startswith("camera/")


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_modules_are_small(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 320


def test_no_picture_is_ever_written():
    """DESIGN: no frame is copied to disk. The one exception is what `ferd model teach --keep-samples` asks for.

    web/encode.py makes pictures into bytes for the browser of somebody who looks; it writes no file.
    """
    writers = ("imwrite", "imencode", "VideoWriter(", ".tofile(", "np.save")
    for path in MODULES:
        if place(path) == "model/teach/keep.py":
            continue
        text = path.read_text(encoding="utf-8")
        allowed = ("imencode",) if place(path) == "web/encode.py" else ()
        assert not [word for word in writers if word in text and word not in allowed], place(path)
    assert "open(" not in (FERD / "web/encode.py").read_text(encoding="utf-8")
