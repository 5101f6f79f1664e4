"""The eyes net: 32x32 gray in, logits of ferd.vision.eyes.LABELS out; 2.4 million plain multiply-adds."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from training.net import Residual

SIDE = 32


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs))


class EyesNet(nn.Module):
    def __init__(self, labels: int = 5) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(1, 8), nn.ReLU(),
            _conv(8, 20, 2), nn.ReLU(),
            _conv(20, 32, 2), nn.ReLU(),
            Residual(32),
            _conv(32, 48, 2), nn.ReLU(),
            Residual(48),
        )  # fmt: skip
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(48, labels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, 32, 32) normalised gray -> (B, labels)."""
        pooled = functional.avg_pool2d(self.body(x), SIDE // 8).flatten(1)
        return self.head(self.dropout(pooled))
