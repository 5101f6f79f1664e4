"""Write the landmarks net as a .tflite: int8 in and within, the last layer in float."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from training.fit import to_input
from training.quantise import _input_name, fold

LAST = ".*(outer|output_0).*"  # not rounded to 256 steps: one step would be 2 % of the eye distance


def quantise(net: nn.Module, pixels: NDArray[np.uint8], path: Path) -> None:
    """Write the file; `pixels` (n, SIDE, SIDE) show how far the activations reach."""
    import litert_torch
    from ai_edge_quantizer import calibrator, quantizer, recipe, recipe_manager
    from ai_edge_quantizer.utils.qsv_utils import min_max_update

    example = torch.zeros(1, 1, *pixels.shape[1:])
    nhwc = litert_torch.to_channel_last_io(fold(copy.deepcopy(net).eval()), args=[0]).eval()
    converted = litert_torch.convert(nhwc, (example.permute(0, 2, 3, 1).contiguous(),))
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "float.tflite"
        converted.export(str(plain))
        rows = to_input(torch.from_numpy(pixels)).permute(0, 2, 3, 1).contiguous().numpy()
        name = _input_name(plain)
        samples = {"serving_default": [{name: row[None]} for row in rows]}
        rules = recipe_manager.RecipeManager()
        rules.load_quantization_recipe(recipe.static_wi8_ai8())
        for operation in ("FULLY_CONNECTED", "OUTPUT"):
            rules.add_quantization_config(regex=LAST, operation_name=operation, algorithm_key="no_quantize")
        watcher = calibrator.Calibrator(str(plain), qsv_update_func=min_max_update)
        watcher.calibrate(samples, rules)
        result = quantizer.Quantizer(str(plain), rules.get_quantization_recipe()).quantize(watcher.get_model_qsvs())
        result.export_model(str(path), overwrite=True)
    drop_names(path)


def drop_names(path: Path) -> None:
    """Drop the names of the tensors inside the net: 10 kB, which nothing reads."""
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model(str(path))
    for graph in model.subgraphs:
        kept = {*graph.inputs, *graph.outputs}
        for number, tensor in enumerate(graph.tensors):
            if number not in kept:
                tensor.name = b""
    flatbuffer_utils.write_model(model, str(path))
