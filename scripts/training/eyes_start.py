"""Weights to begin with: those of the eyes file that ships, read back from int8."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from training.eyes_net import EyesNet
from training.sources import StartError
from training.start import read_back


def net_of(path: Path, inputs: Tensor) -> EyesNet:
    """A net with the file's weights; `inputs` (n, 1, 32, 32): over these the batch norms take their statistics.

    Raises StartError when the file is missing, damaged or of another shape.
    """
    net = EyesNet().eval()
    try:
        read_back(net, net.head, path, inputs)
    except StartError as error:
        raise StartError(f"{error}: restore the file") from None
    return net
