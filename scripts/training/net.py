"""The expression net: plain 3x3 convolutions in three residual stages, 48x48 gray in, logits out.

Plain rather than depthwise: int8 kernels of XNNPACK run them 3 to 4 times faster than float,
depthwise ones hardly gain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.data import LABELS, SIDE, TRAIN_LABELS

MEAN, STD = 0.5, 0.25  # float = (pixel / 255 - MEAN) / STD, fixed for ever in the card


def _conv(inputs: int, outputs: int, stride: int = 1, size: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(outputs),
    )


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _conv(width, width)
        self.second = _conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        inner = torch.relu(self.first(x))
        return torch.relu(x + self.second(inner))


@dataclass(frozen=True)
class Shape:
    """Channels of the net; blocks are residual pairs of convolutions in each stage."""

    stem: int = 16
    widths: tuple[int, ...] = (24, 64, 128)
    blocks: tuple[int, ...] = (1, 1, 1)
    features: int = 256
    dropout: float = 0.1


SHIPPED = Shape()


class ExpressionNet(nn.Module):
    """(B, 1, 48, 48) normalised gray to (B, labels) logits."""

    def __init__(self, shape: Shape = SHIPPED, labels: int = len(TRAIN_LABELS)) -> None:
        super().__init__()
        self.shape = shape
        layers: list[nn.Module] = [_conv(1, shape.stem), nn.ReLU()]
        before = shape.stem
        for width, blocks in zip(shape.widths, shape.blocks, strict=True):
            layers += [_conv(before, width, stride=2), nn.ReLU()]
            layers += [Residual(width) for _ in range(blocks)]
            layers += [nn.Dropout2d(shape.dropout)]  # whole channels: their neighbours would give a pixel away
            before = width
        layers += [_conv(before, shape.features, size=1), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.dropout = nn.Dropout(shape.dropout)
        self.head = nn.Linear(shape.features, labels)

    def forward(self, x: Tensor) -> Tensor:
        pooled = functional.avg_pool2d(self.body(x), SIDE // 8).flatten(1)
        return self.head(self.dropout(pooled))


def shipped(net: ExpressionNet) -> ExpressionNet:
    """A copy with the rows of the 7 labels that ferd knows: contempt is dropped."""
    weights = dict(net.state_dict())
    for name in ("head.weight", "head.bias"):
        weights[name] = weights[name][: len(LABELS)]
    copy = ExpressionNet(net.shape, len(LABELS))
    copy.load_state_dict(weights)
    return copy.eval()


def multiply_adds(net: nn.Module, size: tuple[int, int] = (SIDE, SIDE)) -> int:
    """Multiply-adds of one picture of (height, width), convolutions and linear layers, counted by running it."""
    total = 0

    def count(module: nn.Module, _inputs: Any, output: Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Conv2d):
            inner = module.in_channels // module.groups * module.kernel_size[0] * module.kernel_size[1]
            total += inner * output[0].numel()
        elif isinstance(module, nn.Linear):
            total += module.in_features * module.out_features

    hooks = [m.register_forward_hook(count) for m in net.modules()]
    with torch.no_grad():
        net.eval()(torch.zeros(1, 1, *size))
    for hook in hooks:
        hook.remove()
    return total
