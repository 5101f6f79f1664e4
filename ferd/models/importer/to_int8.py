"""Convert Keras, SavedModel and TensorFlow.js exports to full int8 TFLite, in a process of its own.

The only module that imports TensorFlow: `python -m ferd.models.importer.to_int8 ORDER`, with an order in JSON. Step
"float" writes the model as a SavedModel and as float TFLite, unless it holds somebody's code. Step "int8" quantises the
SavedModel on the pictures that come on standard input. Prints one line of JSON: the scores of each picture before and
after, the code, or the error.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferd.models.importer.foreign_code import foreign_code
from ferd.models.preprocess import InputEncoder, InputSpec
from ferd.models.runtime import Network

Floats = NDArray[np.float32]


def main(order: Mapping[str, Any]) -> None:
    answer: dict[str, Any]
    with redirect_stdout(sys.stderr):
        try:
            answer = to_float(order) if order["step"] == "float" else to_int8(order)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is the answer of this process
            answer = {"error": f"{type(error).__name__}: {(str(error).strip().splitlines() or ['no message'])[0]}"}
    json.dump(answer, sys.stdout)


def to_float(order: Mapping[str, Any]) -> dict[str, Any]:
    """Write a SavedModel and a float TFLite file. The answer names code that would run, in which case nothing did."""
    kind, model, saved = order["kind"], Path(order["model"]), Path(order["saved"])
    if not order["trust"] and (code := foreign_code(kind, model)):
        return {"code": code}
    import tensorflow as tf

    if kind == "savedmodel":
        shutil.copytree(model, saved)
    else:
        read = read_tfjs(model) if kind == "tfjs" else read_keras(model, trust=order["trust"])
        read.export(str(saved))
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved))
    Path(order["target"]).write_bytes(converter.convert())
    return {}


def to_int8(order: Mapping[str, Any]) -> dict[str, Any]:
    """Quantise; return the scores of the float and the int8 model, (pictures, labels) each."""
    import tensorflow as tf

    network = Network(Path(order["float"]))
    encode = InputEncoder(InputSpec.from_card(order["spec"]), network.input)
    pictures = np.frombuffer(sys.stdin.buffer.read(), np.uint8).reshape(order["shape"])
    inputs = [encode(picture) for picture in pictures]

    def samples() -> Iterator[list[Any]]:
        for one in inputs:
            yield [one]

    converter = tf.lite.TFLiteConverter.from_saved_model(order["saved"])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = samples
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    target = Path(order["target"])
    target.write_bytes(converter.convert())
    return {"before": _scores(network, inputs).tolist(), "after": _scores(Network(target), inputs).tolist()}


def read_keras(path: Path, *, trust: bool) -> Any:
    """Read a Keras file. An .h5 of Keras 2, as Teachable Machine writes it, needs Keras 2: Keras 3 fails on it."""
    import tf_keras

    if path.suffix != ".keras":
        return tf_keras.models.load_model(path, compile=False, safe_mode=not trust)
    import keras

    return keras.saving.load_model(path, compile=False, safe_mode=not trust)


def read_tfjs(path: Path) -> Any:
    """Read a TensorFlow.js layers model: the topology is Keras's own JSON, the weights lie end to end in .bin files.

    Format: github.com/tensorflow/tfjs, tfjs-core/src/io/types.ts (WeightsManifestGroupConfig).
    """
    import tf_keras

    document = json.loads(path.read_text(encoding="utf-8"))
    if document.get("format") == "graph-model":
        raise ValueError("a TensorFlow.js graph model cannot be converted; export the layers model or TFLite")
    topology = document["modelTopology"]
    config = topology.get("model_config", topology)
    model = tf_keras.models.model_from_json(json.dumps(config))
    weights = read_weights(document["weightsManifest"], path.parent)
    wanted = [variable.name for variable in model.weights]
    by_name = {_plain(name): value for name, value in weights.items()}
    found = [by_name.get(_plain(name)) for name in wanted]
    if any(value is None for value in found):  # nested models prefix their names; the order is the same in both
        found = list(weights.values())
    model.set_weights(found)
    return model


def read_weights(manifest: list[dict[str, Any]], folder: Path) -> dict[str, np.ndarray]:
    """Return every weight by its name, in the order of the manifest."""
    weights = {}
    for group in manifest:
        data = b"".join((folder / Path(part).name).read_bytes() for part in group["paths"])
        at = 0
        for spec in group["weights"]:
            quantised = spec.get("quantization")
            stored = np.dtype(quantised["dtype"] if quantised else spec["dtype"])
            count = int(np.prod(spec["shape"], dtype=int))
            values = np.frombuffer(data, stored, count, at).reshape(spec["shape"])
            at += count * stored.itemsize
            if quantised and quantised["dtype"] != "float16":
                values = values * np.float32(quantised["scale"]) + np.float32(quantised["min"])
            weights[spec["name"]] = values.astype(np.float32)
    return weights


def _plain(name: str) -> str:
    """Drop the suffix of a name: "conv1/kernel:0" and "conv1/kernel" are one weight."""
    return name.partition(":")[0]


def _scores(network: Network, inputs: list[NDArray[Any]]) -> Floats:
    rows = [network.invoke(network.input.quantise(one)) for one in inputs]
    return np.stack([network.outputs[0].dequantise(row).reshape(-1) for row in rows])


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main(json.loads(sys.argv[1]))
