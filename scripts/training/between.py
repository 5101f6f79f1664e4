"""Make a net between the one that a training began with and the one that it ended with.

A net that is trained further forgets a little of what it knew. On the line between both lie nets that are better than
either (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models", arXiv 2109.01903), if the batch norms measure
their statistics again (Izmailov et al. 2018, arXiv 1803.05407).
"""

from __future__ import annotations

import torch
from torch import nn

from training.augment import augment
from training.data import SIDE
from training.fit import drawn
from training.mixture import Sample
from training.net import MEAN, STD, ExpressionNet

STRENGTH = 0.3  # of the augmentation while the statistics are measured, as at the end of a training
BATCHES, BATCH = 40, 256
SEED = 8322


def between(begin: ExpressionNet, end: ExpressionNet, share: float, sample: Sample) -> ExpressionNet:
    """Mix the weights: `share` (0 to 1) of `end`, the rest of `begin`."""
    first, last = begin.state_dict(), end.state_dict()
    mixed = {
        name: torch.lerp(first[name], value, share) if value.dtype.is_floating_point else value
        for name, value in last.items()
    }
    net = ExpressionNet(end.shape)
    net.load_state_dict(mixed)
    return _measure_norms(net, sample)


def _measure_norms(net: ExpressionNet, sample: Sample) -> ExpressionNet:
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the plain mean of all batches
    g = torch.Generator().manual_seed(SEED)
    order = drawn(sample.weight, BATCHES * BATCH, SEED)
    net.train()
    with torch.no_grad():
        for picked in order.reshape(BATCHES, BATCH):
            pixels = torch.from_numpy(sample.tiles[picked])[:, None].float() / 255
            net((augment(pixels, STRENGTH, g, SIDE) - MEAN) / STD)
    return net.eval()
