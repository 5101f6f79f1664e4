"""The walls of the house: which module may know which library, and which way data flows."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FERD = ROOT / "ferd"
MODULES = sorted(FERD.rglob("*.py"))

# library -> the only modules (or folders) that may import it
ONLY = {
    "paho": ("outputs/mqtt/client.py",),
    "sqlite3": ("outputs/mqtt/event_file.py",),
    "amqtt": ("outputs/mqtt/embedded.py",),
    "picamera2": ("sources/picamera2.py",),
    "libcamera": ("sources/picamera2.py",),
    "gpiozero": ("outputs/buzzer/pin.py",),
    "lgpio": ("outputs/buzzer/pin.py",),
    "ai_edge_litert": ("models/runtime.py", "models/finetune/tflite_edit.py"),  # the latter its file format only
    "tflite_runtime": ("models/runtime.py",),
    "pydantic": ("config/", "payloads.py", "outputs/mqtt/topics.py", "outputs/mqtt/schema.py"),
    "tensorflow": ("models/importer/to_int8.py",),
    "tf_keras": ("models/importer/to_int8.py",),
    "keras": ("models/importer/to_int8.py",),
    "rich": ("cli/",),
    "starlette": ("outputs/web/",),
    "uvicorn": ("outputs/web/",),
    "prometheus_client": ("outputs/web/metrics.py",),
    "tomlkit": ("outputs/web/save.py",),
    "matplotlib": ("evaluation/plot.py", "evaluation/fatigue_plot.py"),
}
# folder -> what it may import of ferd
PURE = {
    "policy/": ("ferd.types", "ferd.policy"),
    "outputs/buzzer/patterns.py": (),
    "outputs/buzzer/scheduler.py": ("ferd.types", "ferd.outputs.buzzer.patterns"),
    "types.py": (),
    "errors.py": (),
    "models/runtime.py": ("ferd.errors",),
    "models/sandbox.py": ("ferd.errors", "ferd.models.runtime"),
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


@pytest.mark.parametrize("path", sorted((FERD / "policy").rglob("*.py")), ids=place)
def test_policy_has_no_clock(path):
    assert not CLOCKS & {name.partition(".")[0] for name in imports(path)}


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_only_cameras_open_cameras(path):
    assert "VideoCapture" not in path.read_text(encoding="utf-8") or place(path).startswith("sources/")


def test_no_picture_is_ever_written():
    """DESIGN: no frame is copied to disk. The one exception is what `ferd model teach --keep-samples` asks for.

    outputs/web/encode.py makes pictures into bytes for the browser of somebody who looks; it writes no file.
    """
    writers = ("imwrite", "imencode", "VideoWriter(", ".tofile(", "np.save")
    for path in MODULES:
        if place(path) == "models/finetune/keep.py":
            continue
        text = path.read_text(encoding="utf-8")
        allowed = ("imencode",) if place(path) == "outputs/web/encode.py" else ()
        assert not [word for word in writers if word in text and word not in allowed], place(path)
    assert "open(" not in (FERD / "outputs/web/encode.py").read_text(encoding="utf-8")
