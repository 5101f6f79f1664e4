"""Weights to begin with: those of the eyes file that ships, read back from int8."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from training.eyes_net import EyesNet
from training.sources import StartError
from training.start import enlarge, read_back

SPREAD = 0.2  # standard deviation of the weights that the usual rate is made for


def net_of(path: Path, inputs: Tensor) -> EyesNet:
    """A net with the file's weights; `inputs` (n, 1, 32, 32): over these the batch norms take their statistics.

    Raises StartError when the file is missing, damaged or of another shape.
    """
    net = EyesNet().eval()
    try:
        pairs = read_back(net, net.head, path, inputs)
    except StartError as error:
        raise StartError(f"{error}: train from nothing (--fresh)") from None
    with torch.no_grad():
        for conv, norm in pairs:
            enlarge(conv, norm, SPREAD)
    return net
