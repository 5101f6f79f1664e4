"""Find code in exports that would run on conversion: Keras's Lambda layers, and operations that reach beyond the model.

Keras stores a Lambda layer as Python bytecode and runs it when the file is loaded. It also imports whatever module a
layer's configuration names, and a SavedModel may contain operations that read and write files when it is loaded.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ferd.models.importer.unpack import BROKEN

MAX_CONFIG_BYTES = 16 << 20
MODULES = re.compile(r"(?:tf_)?keras(?:\.|$)|tensorflow\.keras\.|builtins$")
"""Modules that a layer's class may come from."""
NOT_FROM_KERAS = frozenset(
    {
        "Lambda",
        "__lambda__",
        "lambda",
        "function",
        "get_file",
        "load_model",
        "load_img",
        "enable_unsafe_deserialization",
    }
)
"""Names in Keras's own modules that run or fetch something of somebody else's."""
OPERATORS = re.compile(
    r"(?:tf\.)?(?:math|nn|image|linalg|keras|__operators__|compat\.v1\.(?:nn|math|transpose|squeeze|shape))\.\w|"
    r"(?:tf\.)?(?:add|cast|concat|clip_by_value|convert_to_tensor|expand_dims|identity|multiply|pad|reshape|reverse|"
    r"shape|slice|split|squeeze|stack|stop_gradient|strided_slice|subtract|tile|transpose|unstack|where|zeros_like|"
    r"ones_like)$"
)
"""Functions of TensorFlow that a TFOpLambda layer may call. It could name any other, such as io.write_file."""
OPERATIONS = (
    b"PyFunc",
    b"EagerPyFunc",
    b"WriteFile",
    b"ReadFile",
    b"DeleteFile",
    b"PyFuncStateless",
    b"WriteImageSummary",
)
"""Operations in a SavedModel that run Python, or touch files."""


def foreign_code(kind: str, model: Path) -> str | None:
    """Return what in this export would run somebody else's code, None where there is nothing.

    Args:
        kind: "keras", "tfjs" or "savedmodel".

    Raises:
        ValueError: the file cannot be read so far.
    """
    if kind == "savedmodel":
        return _in_saved_model(model)
    if kind == "tfjs":
        config = _json(model.read_bytes())
    elif zipfile.is_zipfile(model):
        config = _config_in_zip(model)
    else:
        return _in_h5(model)
    return _in_config(config)


def _config_in_zip(model: Path) -> Any:
    try:
        with zipfile.ZipFile(model) as archive, archive.open("config.json") as stream:
            return _json(stream.read(MAX_CONFIG_BYTES + 1))
    except (*BROKEN, KeyError, RuntimeError, OSError) as error:
        raise ValueError(f"its config.json cannot be read ({error})") from None


def _in_h5(model: Path) -> str | None:
    import h5py

    try:
        with h5py.File(model, "r") as file:
            config = file.attrs.get("model_config")
    except OSError as error:
        raise ValueError(f"is no HDF5 file ({error})") from None
    if config is None:
        raise ValueError("holds weights without a network; export the whole model")
    return _in_config(_json(config if isinstance(config, bytes) else str(config).encode()))


def _json(data: bytes) -> Any:
    if len(data) > MAX_CONFIG_BYTES:
        raise ValueError(f"its configuration is larger than {MAX_CONFIG_BYTES >> 20} MB")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its configuration is no JSON ({error})") from None


def _in_config(config: Any) -> str | None:
    for entry in _dictionaries(config):
        name, module = entry.get("class_name"), entry.get("module")
        if isinstance(name, str) and name.rpartition(">")[2] in NOT_FROM_KERAS:
            return f"a {name} layer"
        if module is not None and not (isinstance(module, str) and MODULES.match(module)):
            return f"code of the module {module!r}"
        if name in ("TFOpLambda", "SlicingOpLambda", "ClassMethod", "InstanceMethod", "InstanceProperty"):
            called = _called(entry)
            if called is not None and not OPERATORS.match(called):
                return f"a call of {called}"
    return None


def _called(entry: dict[str, Any]) -> str | None:
    config = entry.get("config")
    called = config.get("function", config.get("cls_symbol")) if isinstance(config, dict) else None
    return None if called is None else str(called)


def _dictionaries(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every dictionary in nested lists and dictionaries."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def _in_saved_model(folder: Path) -> str | None:
    graph = (folder / "saved_model.pb").read_bytes()
    found = next((name for name in OPERATIONS if name in graph), None)
    return f"the operation {found.decode()}" if found else None
