"""Weights to begin with: those of the landmarks file that ships, read back from int8."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from training.landmarks_net import LandmarksNet
from training.sources import StartError
from training.start import read_back


def net_of(path: Path, inputs: Tensor) -> LandmarksNet:
    """Return a net with the file's weights.

    Args:
        inputs: (n, 1, 64, 64), normalised: over these the batch norms take their statistics.

    Raises:
        StartError: The file is missing, damaged or of another shape.
    """
    net = LandmarksNet().eval()
    try:
        read_back(net, net.outer, path, inputs)
    except StartError as error:
        raise StartError(f"{error}: train from nothing (--from-nothing)") from None
    return net
