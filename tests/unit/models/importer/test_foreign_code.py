"""Exports that would run code of their authors are recognised before anything of them is loaded."""

import json
import zipfile

import pytest

from ferd.models.importer.foreign_code import foreign_code

DENSE = {"class_name": "Dense", "config": {"name": "d", "units": 3, "activation": "softmax"}}
LAMBDA = {"class_name": "Lambda", "config": {"function": ["4wEAAAAAAAAA", None, None], "function_type": "lambda"}}
OPERATOR = {"class_name": "TFOpLambda", "config": {"function": "math.multiply"}}
WRITES = {"class_name": "TFOpLambda", "config": {"function": "io.write_file"}}
KERAS3 = {
    "module": "keras.layers",
    "class_name": "Dense",
    "config": {"kernel_initializer": {"module": "keras.initializers", "class_name": "GlorotUniform", "config": {}}},
}
SYSTEM = {
    "module": "keras.layers",
    "class_name": "Dense",
    "config": {"activation": {"module": "os", "class_name": "function", "config": "system"}},
}
IMPORTS = {"module": "antigravity", "class_name": "Fly", "config": {}}
FETCHES = {"module": "keras.utils", "class_name": "get_file", "config": {}}
REGISTERED = {"class_name": "Custom>Lambda", "config": {}}


def network(*layers):
    """A model within a model, as Teachable Machine nests them."""
    inner = {"class_name": "Sequential", "config": {"name": "s", "layers": list(layers)}}
    return {"class_name": "Sequential", "config": {"layers": [inner]}}


def keras_file(tmp_path, config):
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
    return "keras", path


def tfjs_file(tmp_path, config):
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"modelTopology": {"model_config": config}, "weightsManifest": []}))
    return "tfjs", path


def h5_file(tmp_path, config):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config).encode()
    return "keras", path


@pytest.mark.parametrize("write", [keras_file, tfjs_file, h5_file])
@pytest.mark.parametrize(
    ("layer", "found"),
    [
        (DENSE, None),
        (OPERATOR, None),
        (KERAS3, None),
        (LAMBDA, "a Lambda layer"),
        (REGISTERED, "a Custom>Lambda layer"),
        (WRITES, "a call of io.write_file"),
        (IMPORTS, "code of the module 'antigravity'"),
        (FETCHES, "a get_file layer"),
    ],
)
def test_layers(tmp_path, write, layer, found):
    assert foreign_code(*write(tmp_path, network(DENSE, layer))) == found


def test_a_function_of_another_module_in_place_of_an_activation(tmp_path):
    assert foreign_code(*keras_file(tmp_path, network(SYSTEM))) is not None


def test_a_name_in_other_letters_is_the_same_name(tmp_path):
    """JSON may write any letter as a number: a search in the bytes would not find it."""
    kind, path = tfjs_file(tmp_path, network(LAMBDA))
    path.write_text(path.read_text().replace("Lambda", "\\u004cambda"))
    assert b"Lambda" not in path.read_bytes()
    assert foreign_code(kind, path) == "a Lambda layer"


@pytest.mark.parametrize("operation", ["PyFunc", "WriteFile", "ReadFile"])
def test_operations_of_a_saved_model(tmp_path, operation):
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01MatMul\x12" + operation.encode())
    assert foreign_code("savedmodel", tmp_path) == f"the operation {operation}"
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01MatMul\x12")
    assert foreign_code("savedmodel", tmp_path) is None


def test_what_cannot_be_read_is_an_error_not_harmless(tmp_path):
    (tmp_path / "model.json").write_text("{")
    with pytest.raises(ValueError, match="no JSON"):
        foreign_code("tfjs", tmp_path / "model.json")
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("other.json", "{}")
    with pytest.raises(ValueError, match=r"config\.json cannot be read"):
        foreign_code("keras", tmp_path / "m.keras")
