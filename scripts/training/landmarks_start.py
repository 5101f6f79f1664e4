"""Weights to begin with: those of the landmarks file that ships, read back from int8."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from training.landmarks_net import LandmarksNet
from training.start import layers_of, settle_norms


def net_of(path: Path, inputs: Tensor) -> LandmarksNet:
    """Return a net with the file's weights.

    Args:
        inputs: (n, 1, 64, 64), normalised: over these the batch norms take their statistics.

    Raises:
        ValueError: The file is of another shape.
    """
    net = LandmarksNet().eval()
    layers = layers_of(path)
    pairs = [m for m in net.modules() if isinstance(m, nn.Sequential) and len(m) == 2 and isinstance(m[0], nn.Conv2d)]
    wanted = [tuple(conv.weight.shape) for conv, _ in pairs] + [tuple(net.outer.weight.shape)]
    if wanted != [tuple(weight.shape) for weight, _ in layers]:
        raise ValueError(f"{path} is not a net of this shape: train from nothing (--from-nothing)")
    with torch.no_grad():
        for (conv, norm), (weight, bias) in zip(pairs, layers[:-1], strict=True):
            conv.weight.copy_(weight)
            norm.running_var.fill_(1 - norm.eps)
            norm.bias.copy_(bias)
        net.outer.weight.copy_(layers[-1][0])
        net.outer.bias.copy_(layers[-1][1])
        settle_norms(net, pairs, inputs)
    return net
