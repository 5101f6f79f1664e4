"""The float net of a finished int8 file, so that a training can continue from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.data import LABELS, TRAIN_LABELS
from training.fit import to_input
from training.net import ExpressionNet, Shape

_AS_TORCH = {  # how each operator keeps its weights
    "DEPTHWISE_CONV_2D": (3, 0, 1, 2),  # the stem: one channel comes in
    "CONV_2D": (0, 3, 1, 2),
    "FULLY_CONNECTED": (0, 1),
}
RARER = 3.0  # logits by which contempt, which no file knows, begins below neutral


def net_of(path: Path, shape: Shape, tiles: NDArray[np.uint8]) -> ExpressionNet:
    """A net of this shape with the file's weights; `tiles`: pictures over which the batch norms take their statistics.

    Raises ValueError when the file is of another shape.
    """
    net = ExpressionNet(shape).eval()
    layers = _layers(path)
    pairs = [m for m in net.modules() if isinstance(m, nn.Sequential) and len(m) == 2 and isinstance(m[0], nn.Conv2d)]
    wanted = [tuple(conv.weight.shape) for conv, _ in pairs] + [(len(LABELS), shape.features)]
    if wanted != [tuple(weight.shape) for weight, _ in layers]:
        raise ValueError(f"{path} is not a net of the shape {shape}")
    with torch.no_grad():
        for (conv, norm), (weight, bias) in zip(pairs, layers[:-1], strict=True):
            conv.weight.copy_(weight)
            norm.running_var.fill_(1 - norm.eps)
            norm.bias.copy_(bias)
        _set_head(net.head, *layers[-1])
        _set_norms(net, pairs, tiles)
    return net


def _set_head(head: nn.Linear, weight: Tensor, bias: Tensor) -> None:
    neutral = TRAIN_LABELS.index("neutral")
    head.weight.copy_(torch.cat([weight, weight[neutral : neutral + 1]]))
    head.bias.copy_(torch.cat([bias, bias[neutral : neutral + 1] - RARER]))


def _set_norms(net: ExpressionNet, pairs: list[nn.Sequential], tiles: NDArray[np.uint8]) -> None:
    """Batch norms that change nothing, with the statistics of what really comes."""
    seen: dict[nn.Module, Tensor] = {}
    hooks = [pair[0].register_forward_hook(lambda module, _, out: seen.__setitem__(module, out)) for pair in pairs]
    net(to_input(torch.from_numpy(tiles)))
    for hook in hooks:
        hook.remove()
    for conv, norm in pairs:
        var, mean = torch.var_mean(seen[conv], dim=(0, 2, 3))
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(var)
        norm.weight.copy_((var + norm.eps).sqrt())
        norm.bias += mean


def _layers(path: Path) -> list[tuple[Tensor, Tensor]]:
    """Weights as torch has them and biases of all convolutions and linear layers, in the order of their work."""
    from ai_edge_litert.interpreter import Interpreter

    net = Interpreter(str(path))
    net.allocate_tensors()
    about = {detail["index"]: detail for detail in net.get_tensor_details()}

    def values(index: int) -> Tensor:
        return torch.from_numpy(_dequantised(net.get_tensor(index), about[index]["quantization_parameters"]))

    layers = []
    for op in net._get_ops_details():
        if order := _AS_TORCH.get(op["op_name"]):
            _, weight, bias = (int(index) for index in op["inputs"])
            layers.append((values(weight).permute(order).contiguous(), values(bias)))
    return layers


def _dequantised(stored: NDArray[Any], how: dict[str, Any]) -> NDArray[np.float32]:
    shape = [1] * stored.ndim
    shape[how["quantized_dimension"]] = -1
    zero = how["zero_points"].reshape(shape)
    return ((stored.astype(np.float64) - zero) * how["scales"].reshape(shape)).astype(np.float32)
