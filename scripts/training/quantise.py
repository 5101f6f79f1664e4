"""From the averaged net to a full int8 .tflite: int8 in and out, weights per channel, logits."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from training.fit import to_input

CALIBRATION_PICTURES = 512


def fold(module: nn.Module) -> nn.Module:
    """Fold every batch norm into the convolution before it, in place."""
    for name, child in module.named_children():
        if isinstance(child, nn.Sequential) and len(child) == 2 and isinstance(child[0], nn.Conv2d):
            setattr(module, name, fuse_conv_bn_eval(child[0], child[1]))
        else:
            fold(child)
    return module


def quantise(net: nn.Module, tiles: NDArray[np.uint8], path: Path) -> None:
    """Write the net as a full int8 file; the tiles say how far its activations reach."""
    import litert_torch
    from ai_edge_quantizer import calibrator, quantizer, recipe, recipe_manager
    from ai_edge_quantizer.utils.qsv_utils import min_max_update

    example = torch.zeros(1, 1, *tiles.shape[1:])
    nhwc = litert_torch.to_channel_last_io(fold(copy.deepcopy(net).eval()), args=[0]).eval()
    converted = litert_torch.convert(nhwc, (example.permute(0, 2, 3, 1).contiguous(),))
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "float.tflite"
        converted.export(str(plain))
        rows = to_input(torch.from_numpy(tiles)).permute(0, 2, 3, 1).contiguous().numpy()
        name = _input_name(plain)
        samples = {"serving_default": [{name: row[None]} for row in rows]}
        static = recipe.static_wi8_ai8()
        rules = recipe_manager.RecipeManager()
        rules.load_quantization_recipe(static)
        # The default averages each picture's range: half of all pictures would be clipped.
        watcher = calibrator.Calibrator(str(plain), qsv_update_func=min_max_update)
        watcher.calibrate(samples, rules)
        result = quantizer.Quantizer(str(plain), static).quantize(watcher.get_model_qsvs())
        result.export_model(str(path), overwrite=True)


def _input_name(path: Path) -> str:
    from ai_edge_litert.interpreter import Interpreter

    signatures = Interpreter(str(path)).get_signature_list()
    return str(signatures["serving_default"]["inputs"][0])
