"""The float net of a finished int8 file, as large or larger, so that a training can continue from it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.data import LABELS, TRAIN_LABELS
from training.fit import to_input
from training.judge import run_file, softmax
from training.mixture import as_in_use, inner
from training.net import MEAN, STD, ExpressionNet, Shape
from training.sources import StartError
from training.worlds import WORD, World

_AS_TORCH = {  # how each operator keeps its weights
    "DEPTHWISE_CONV_2D": (3, 0, 1, 2),  # the stem: one channel comes in
    "CONV_2D": (0, 3, 1, 2),
    "FULLY_CONNECTED": (0, 1),
}
SEED = 8322  # of the weights of new channels
# Standard deviation of the weights of a net that was trained from nothing. With those of the landmarks file, 4 to 30
# times smaller, the error of the points was 6.2 % after one epoch instead of 5.3.
SPREAD = 0.2
RARER = 3.0  # logits by which contempt, which no file knows, begins below neutral


def net_of(path: Path, shape: Shape, tiles: NDArray[np.uint8]) -> ExpressionNet:
    """Return a net of this shape that gives the logits of the file.

    The shape may be wider than the file: new channels take random weights from all channels before them and give
    nothing to the channels of the file, so the logits stay, and the weights between them have gradients.

    Args:
        tiles: (N, 48, 48) pictures over which the batch norms take their statistics.

    Raises:
        StartError: The file is missing or damaged, has more layers, fewer layers or more channels than the shape.
    """
    net = ExpressionNet(shape).eval()
    layers = layers_of(path)
    pairs = convolutions(net)
    wanted = [tuple(conv.weight.shape) for conv, _ in pairs] + [(len(LABELS), shape.features)]
    if not _fits([tuple(weight.shape) for weight, _ in layers], wanted):
        raise StartError(f"{path} does not fit into a net of the shape {shape}")
    with torch.no_grad():
        _fill(pairs, layers)
        _set_head(net.head, *layers[-1])
        settle_norms(net, pairs, to_input(torch.from_numpy(tiles)))
    return net


def read_back(net: nn.Module, last: nn.Linear, path: Path, inputs: Tensor) -> None:
    """Give a net the weights of a file of its shape or of fewer channels, at the scale that the usual rate is made for.

    What the file has not begins with random weights, and counts for nothing in the layers after it.

    Args:
        net: Pairs of convolution and batch norm, in the order of their work.
        last: Its last layer.
        inputs: Pictures as the net takes them: over these the batch norms take their statistics.

    Raises:
        StartError: The file is missing, damaged or of another shape.
    """
    layers = layers_of(path)
    pairs = convolutions(net)
    wanted = [tuple(conv.weight.shape) for conv, _ in pairs] + [tuple(last.weight.shape)]
    if not _fits([tuple(weight.shape) for weight, _ in layers], wanted):
        raise StartError(f"{path} is not a net of this shape")
    with torch.no_grad():
        _fill(pairs, layers)
        last.weight.zero_()
        last.weight[:, : layers[-1][0].shape[1]] = layers[-1][0]
        last.bias.copy_(layers[-1][1])
        settle_norms(net, pairs, inputs)
        for conv, norm in pairs:
            enlarge(conv, norm, SPREAD)


def convolutions(net: nn.Module) -> list[nn.Sequential]:
    """Return the pairs of convolution and batch norm, in the order of their work."""
    return [m for m in net.modules() if isinstance(m, nn.Sequential) and len(m) == 2 and isinstance(m[0], nn.Conv2d)]


def with_word_of(path: Path, world: World) -> World:
    """Append what the file says about every picture to the teachers' word: a training should not forget it."""
    temperature = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["temperature"]
    row = as_in_use(world)
    said = np.zeros((len(row), len(LABELS)), np.float32)
    said[row >= 0] = softmax(run_file(path, inner(world.tiles[row[row >= 0]]), MEAN, STD), temperature)
    return replace(world, word=np.hstack([world.word[:, :WORD], said]))


def _fits(found: list[tuple[int, ...]], wanted: list[tuple[int, ...]]) -> bool:
    """Whether every layer has the same kernel and at least the channels, and the outputs are the same."""
    if len(found) != len(wanted):
        return False
    no_larger = all(f[2:] == w[2:] and f[0] <= w[0] and f[1] <= w[1] for f, w in zip(found, wanted, strict=True))
    return no_larger and found[0][1] == wanted[0][1] and found[-1][0] == wanted[-1][0]


def _fill(pairs: list[nn.Sequential], layers: list[tuple[Tensor, Tensor]]) -> None:
    """Set the convolutions to the file's, with batch norms that change nothing but the bias."""
    random = torch.Generator().manual_seed(SEED)
    for (conv, norm), (weight, bias) in zip(pairs, layers, strict=False):  # the file's last layer is linear
        _widen(conv.weight, weight, random)
        norm.running_var.fill_(1 - norm.eps)
        norm.bias.zero_()
        norm.bias[: len(bias)] = bias


def _widen(target: Tensor, weight: Tensor, random: torch.Generator) -> None:
    """Set (out, in, height, width) weights: those of the file, 0 from new to old channels, random ones to the new."""
    outputs, inputs = weight.shape[:2]
    fan_in = target[0].numel()
    target.normal_(0.0, (2 / fan_in) ** 0.5, generator=random)
    target[:outputs] = 0
    target[:outputs, :inputs] = weight


def _set_head(head: nn.Linear, weight: Tensor, bias: Tensor) -> None:
    neutral = TRAIN_LABELS.index("neutral")
    head.weight.zero_()
    head.weight[:, : weight.shape[1]] = torch.cat([weight, weight[neutral : neutral + 1]])
    head.bias.copy_(torch.cat([bias, bias[neutral : neutral + 1] - RARER]))


def enlarge(conv: nn.Conv2d, norm: nn.BatchNorm2d, spread: float) -> None:
    """Give each filter weights of this standard deviation; the batch norm takes it back, the net stays what it is.

    A file holds weights and norm in one product, of another size than the weights had in training: steps of the usual
    rate would be that much larger or smaller for them.
    """
    by = spread / conv.weight.std(dim=(1, 2, 3)).clamp(min=1e-5)
    before = (norm.running_var + norm.eps).sqrt()
    conv.weight *= by[:, None, None, None]
    norm.running_mean *= by
    norm.running_var *= by.square()
    norm.weight *= (norm.running_var + norm.eps).sqrt() / (by * before)


def settle_norms(net: nn.Module, pairs: list[nn.Sequential], inputs: Tensor) -> None:
    """Give batch norms that change nothing the statistics of what really comes."""
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


def layers_of(path: Path) -> list[tuple[Tensor, Tensor]]:
    """Weights as torch has them and biases of all convolutions and linear layers, in the order of their work."""
    from ai_edge_litert.interpreter import Interpreter

    try:
        net = Interpreter(str(path))
        net.allocate_tensors()
    except (OSError, ValueError, RuntimeError) as error:
        raise StartError(f"{path}, whose weights the training begins with, cannot be read: {error}") from None
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
    if stored.dtype == np.float32:  # a layer that was left in float
        return np.asarray(stored, np.float32)
    shape = [1] * stored.ndim
    shape[how["quantized_dimension"]] = -1
    zero = how["zero_points"].reshape(shape)
    return ((stored.astype(np.float64) - zero) * how["scales"].reshape(shape)).astype(np.float32)
