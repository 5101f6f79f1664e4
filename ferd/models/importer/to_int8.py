"""Keras, SavedModel and TensorFlow.js exports to full int8 TFLite. Runs in a process of its own, the only one that
knows TensorFlow: `python -m ferd.models.importer.to_int8 KIND MODEL TARGET MEAN STD`, pictures on standard input.

Prints one line of JSON: the scores before and after quantising, picture by picture, or why it could not be done.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferd.models.runtime import Network

SIDE = 224
"""Pictures come as squares of this side, RGB, uint8, one after the other."""

Floats = NDArray[np.float32]


def main(kind: str, model: Path, target: Path, scale: tuple[float, float]) -> None:
    squares = np.frombuffer(sys.stdin.buffer.read(), np.uint8).reshape(-1, SIDE, SIDE, 3)
    answer: dict[str, Any]
    with redirect_stdout(sys.stderr):
        try:
            before, after = convert(kind, model, squares, scale, target)
            answer = {"before": before.tolist(), "after": after.tolist()}
        except Exception as error:  # noqa: BLE001  # whatever it is, it is the answer of this process
            answer = {"error": f"{type(error).__name__}: {(str(error).strip().splitlines() or ['no word'])[0]}"}
    json.dump(answer, sys.stdout)


def convert(
    kind: str, path: Path, squares: NDArray[np.uint8], scale: tuple[float, float], target: Path
) -> tuple[Floats, Floats]:
    """Writes `target`; returns what the plain and the int8 model say, (n, labels) each."""
    import tensorflow as tf

    with TemporaryDirectory(prefix="ferd-convert-") as folder:
        saved = path
        if kind != "savedmodel":
            saved = Path(folder) / "saved"
            (read_tfjs(path) if kind == "tfjs" else read_keras(path)).export(str(saved))
        converter = tf.lite.TFLiteConverter.from_saved_model(str(saved))
        plain = Path(folder) / "plain.tflite"
        plain.write_bytes(converter.convert())
        network = Network(plain)
        inputs = _inputs(tf, squares, network.input.shape, scale)

        def samples() -> Iterator[list[Any]]:
            for picture in inputs:
                yield [picture[None]]

        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = samples
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        target.write_bytes(converter.convert())
        return _scores(network, inputs), _scores(Network(target), inputs)


def read_keras(path: Path) -> Any:
    """An .h5 of Keras 2, as Teachable Machine writes it, needs Keras 2: Keras 3 stumbles over its layers."""
    import tf_keras

    if path.suffix != ".keras":
        return tf_keras.models.load_model(path, compile=False)
    import keras

    return keras.saving.load_model(path, compile=False)


def read_tfjs(path: Path) -> Any:
    """A TensorFlow.js layers model: the topology is Keras's own JSON, the weights lie end to end in .bin files.

    The form: github.com/tensorflow/tfjs, tfjs-core/src/io/types.ts (WeightsManifestGroupConfig).
    """
    import tf_keras

    document = json.loads(path.read_text(encoding="utf-8"))
    if document.get("format") == "graph-model":
        raise ValueError("a TensorFlow.js graph model cannot be turned back; export the layers model or TFLite")
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
    """Every weight by its name, in the order of the manifest."""
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
    """ "conv1/kernel:0" and "conv1/kernel" are one weight."""
    return name.partition(":")[0]


def _inputs(tf: Any, squares: NDArray[np.uint8], shape: tuple[int, ...], scale: tuple[float, float]) -> Floats:
    """The pictures in the size, colour and scale that the model wants."""
    if len(shape) != 4 or shape[3] not in (1, 3):
        raise ValueError(
            f"its input has the shape {list(shape)}; a picture classifier takes [1, height, width, 1 or 3]"
        )
    pictures = tf.image.resize(squares.astype(np.float32), shape[1:3], method="area")
    if shape[3] == 1:
        pictures = tf.image.rgb_to_grayscale(pictures)
    return np.asarray((pictures.numpy() / 255 - scale[0]) / scale[1], np.float32)


def _scores(network: Network, inputs: Floats) -> Floats:
    rows = [network.invoke(network.input.quantise(picture[None])) for picture in inputs]
    return np.stack([network.outputs[0].dequantise(row).reshape(-1) for row in rows])


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), (float(sys.argv[4]), float(sys.argv[5])))
