"""A net between the one that a training began with and the one that it ended with.

A net that goes on from good weights forgets a little of what they knew. On the line between both lie nets that are
better than either (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models", arXiv 2109.01903), if the batch
norms take their statistics anew (Izmailov et al. 2018, arXiv 1803.05407).
"""

from __future__ import annotations

import torch
from torch import nn

from training.augment import augment
from training.data import Sample
from training.net import MEAN, STD, ExpressionNet

STRENGTH = 0.25  # of the augmentation while the statistics are taken, as at the end of a training
BATCHES, BATCH = 40, 256


def between(begin: ExpressionNet, end: ExpressionNet, share: float, sample: Sample) -> ExpressionNet:
    """Weights of `end` by `share` (0 to 1), of `begin` by the rest."""
    first, last = begin.state_dict(), end.state_dict()
    mixed = {
        name: torch.lerp(first[name], value, share) if value.dtype.is_floating_point else value
        for name, value in last.items()
    }
    net = ExpressionNet(end.shape)
    net.load_state_dict(mixed)
    return _with_statistics(net, sample)


def _with_statistics(net: ExpressionNet, sample: Sample) -> ExpressionNet:
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the plain mean of all batches
    g = torch.Generator().manual_seed(8322)
    net.train()
    with torch.no_grad():
        for _ in range(BATCHES):
            picked = torch.randint(len(sample), (BATCH,), generator=g).numpy()
            seen = augment(torch.from_numpy(sample.tiles[picked])[:, None].float() / 255, STRENGTH, g)
            net((seen - MEAN) / STD)
    return net.eval()
