"""Weights to begin with: those of the eyes file that ships, read back from int8."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from training.eyes_net import EyesNet
from training.start import _layers


def net_of(path: Path, inputs: Tensor) -> EyesNet:
    """A net with the file's weights; `inputs` (n, 1, 32, 32): over these the batch norms take their statistics.

    Raises ValueError when the file is of another shape.
    """
    net = EyesNet().eval()
    layers = _layers(path)
    pairs = [m for m in net.modules() if isinstance(m, nn.Sequential) and len(m) == 2 and isinstance(m[0], nn.Conv2d)]
    wanted = [tuple(conv.weight.shape) for conv, _ in pairs] + [tuple(net.head.weight.shape)]
    if wanted != [tuple(weight.shape) for weight, _ in layers]:
        raise ValueError(f"{path} is not a net of this shape: train from nothing (--fresh)")
    with torch.no_grad():
        for (conv, norm), (weight, bias) in zip(pairs, layers[:-1], strict=True):
            conv.weight.copy_(weight)
            norm.running_var.fill_(1 - norm.eps)
            norm.bias.copy_(bias)
        net.head.weight.copy_(layers[-1][0])
        net.head.bias.copy_(layers[-1][1])
        _settle(net, pairs, inputs)
    return net


def _settle(net: EyesNet, pairs: list[nn.Sequential], inputs: Tensor) -> None:
    """Give the batch norms, which change nothing so far, the statistics of what really comes."""
    seen: dict[nn.Module, Tensor] = {}
    hooks = [pair[0].register_forward_hook(lambda module, _, out: seen.__setitem__(module, out)) for pair in pairs]
    net(inputs)
    for hook in hooks:
        hook.remove()
    for conv, norm in pairs:
        var, mean = torch.var_mean(seen[conv], dim=(0, 2, 3))
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(var)
        norm.weight.copy_((var + norm.eps).sqrt())
        norm.bias += mean
