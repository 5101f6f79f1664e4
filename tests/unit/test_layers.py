"""The order of the packages, which module may know which library, and which way data flows."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FERD = ROOT / "ferd"
MODULES = sorted(FERD.rglob("*.py"))

# Lowest first. A module may import from its own unit and from lower layers, also within functions. Units of one layer
# do not know each other. The longest name counts: ferd.models.finetune is not part of ferd.models.
LAYERS = (
    ("errors", "types", "names", "encodings", "log_limit", "extras", "healthcheck", "resident", "scratch"),
    ("fs",),
    ("pictures", "redaction"),
    ("policy", "system_files", "credentials"),
    ("config", "upgrade"),
    ("payloads", "settings_store", "storage", "instance_lock", "installation"),
    ("topics",),
    ("snapshot", "event_builder", "switches"),
    ("models", "sources"),
    ("vision",),
    ("models.importer", "models.finetune", "restart_history"),
    ("replay",),
    ("outputs.health", "outputs.buzzer", "outputs.mqtt", "outputs.terminal"),
    ("outputs.home_assistant", "outputs.systemd", "outputs.throttle", "evaluation"),
    ("outputs.mqtt.sink", "outputs.mqtt.purge"),
    ("diagnostics",),
    ("outputs.web",),
    ("camera_worker", "commands", "reload"),
    ("engine",),
    ("app",),
    ("cli",),
    ("__main__", ""),
)
# library -> the only modules (or folders) that may import it
ONLY = {
    "paho": ("outputs/mqtt/client.py",),
    "sqlite3": ("outputs/mqtt/event_store.py",),
    "av": ("sources/video.py",),
    "amqtt": ("outputs/mqtt/embedded.py",),
    "picamera2": ("sources/picamera2.py",),
    "libcamera": ("sources/picamera2.py",),
    "gpiozero": ("outputs/buzzer/output.py",),
    "lgpio": ("outputs/buzzer/output.py",),
    "ai_edge_litert": ("models/runtime.py", "models/finetune/tflite_edit.py"),  # the latter its file format only
    "tflite_runtime": ("models/runtime.py",),
    "pydantic": ("config/", "payloads.py", "topics.py", "outputs/mqtt/", "outputs/web/"),
    "tensorflow": ("models/importer/to_int8.py",),
    "tf_keras": ("models/importer/to_int8.py",),
    "keras": ("models/importer/to_int8.py",),
    "h5py": ("models/importer/foreign_code.py",),
    "rich": ("cli/", "outputs/terminal.py"),
    "fastapi": ("outputs/web/",),
    "starlette": ("outputs/web/",),
    "uvicorn": ("outputs/web/",),
    "itsdangerous": ("outputs/web/",),
    "prometheus_client": ("outputs/web/",),
    "tomlkit": ("outputs/web/",),
    "matplotlib": ("evaluation/plots.py",),
}
CLOCKS = {"time", "datetime", "random", "socket", "threading", "os"}
UNITS = {unit: height for height, layer in enumerate(LAYERS) for unit in layer}


def name_of(path: Path) -> str:
    """The module without "ferd.": "outputs.mqtt.outbox"; "" for the package itself."""
    parts = path.relative_to(FERD).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name_of(path) for path in MODULES}


def unit_of(module: str) -> str:
    while module not in UNITS:
        module, dot, _last = module.rpartition(".")
        if not dot:
            return module if module in UNITS else ""
    return module


def imports(path: Path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full.removeprefix("ferd.") in NAMES else node.module


def place(path):
    return path.relative_to(FERD).as_posix()


def test_every_module_belongs_to_a_layer():
    modules = [path for path in MODULES if path.name != "__init__.py"]
    assert [place(path) for path in modules if not unit_of(name_of(path))] == []


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_imports_go_down(path):
    unit = unit_of(name_of(path))
    for name in imports(path):
        if name.partition(".")[0] != "ferd" or name == "ferd":
            continue
        other = unit_of(name.removeprefix("ferd."))
        assert other == unit or UNITS[other] < UNITS[unit], f"{place(path)} ({unit}) imports {name} ({other})"


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_libraries_stay_behind_their_walls(path):
    for name in imports(path):
        allowed = ONLY.get(name.partition(".")[0])
        assert allowed is None or place(path).startswith(allowed), f"{place(path)} imports {name}; only {allowed} may"


@pytest.mark.parametrize("path", sorted((FERD / "policy").rglob("*.py")), ids=place)
def test_policy_is_pure(path):
    """No clock, no thread, no file, and of ferd only its value types."""
    names = set(imports(path))
    assert not CLOCKS & {name.partition(".")[0] for name in names}
    ours = [name for name in names if name.startswith("ferd.")]
    assert all(name.startswith(("ferd.types", "ferd.names", "ferd.policy")) for name in ours), ours


def test_the_buzzer_schedule_and_the_events_have_no_clock():
    for module in ("outputs/buzzer/scheduler.py", "event_builder.py"):
        assert not CLOCKS & {name.partition(".")[0] for name in imports(FERD / module)}, module


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_only_sources_open_cameras(path):
    assert "VideoCapture" not in path.read_text(encoding="utf-8") or place(path).startswith("sources/")


def test_without_the_page_nothing_of_it_is_imported():
    """Whoever does not use the page pays nothing for it."""
    for path in MODULES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if place(path).startswith("outputs/web/") and place(path) != "outputs/web/sink.py":
            continue
        for node in tree.body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            heavy = [
                name for name in names if name.startswith(("fastapi", "starlette", "uvicorn", "ferd.outputs.web."))
            ]
            assert set(heavy) <= {"ferd.outputs.web.sink"}, f"{place(path)} imports {heavy} when it is loaded"


def test_no_picture_is_ever_written():
    """DESIGN: no frame is copied to disk. The one exception is what `ferd model teach --keep-samples` asks for.

    pictures.py makes pictures into bytes, for a browser and for [mqtt] image; it writes no file.
    """
    writers = ("imwrite", "imencode", "VideoWriter(", ".tofile(", "np.save")
    for path in MODULES:
        if place(path) == "models/finetune/dataset.py":
            continue
        text = path.read_text(encoding="utf-8")
        in_memory = ("pictures.py", "evaluation/bench_wire.py")
        allowed = ("imencode",) if place(path) in in_memory else ()
        assert not [word for word in writers if word in text and word not in allowed], place(path)
    for place_of_it in ("outputs/web/stream.py", "outputs/mqtt/image.py"):
        assert not re.search(r"(?<!def )\bopen\(", (FERD / place_of_it).read_text(encoding="utf-8"))
