"""Remove or replace the last layer of an int8 classifier; the rest of the network stays as it was trained.

Works on the TFLite flatbuffer itself (schema: tensorflow/compiler/mlir/lite/schema/schema.fbs), so that training needs
no framework. The result is an ordinary .tflite file that every TFLite program runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferd.errors import ModelError
from ferd.extras import how_to_install

Floats = NDArray[np.float32]

INT8, INT32 = 9, 2
MARGIN = 0.25
"""The range of the logits is widened by this share on both sides: images in use reach further than samples."""


@dataclass(frozen=True, slots=True)
class Head:
    """Hold a last layer: logits = weights @ features + bias. `weights` (labels, features), `bias` (labels,)."""

    weights: Floats
    bias: Floats


def features_file(model: bytes) -> bytes:
    """Remove the last layer of a file: the output is that layer's input, int8, (1, 1, 1, features).

    Raises ModelError when the file does not end in an int8 fully connected layer.
    """
    schema, parsed = _parse(model)
    graph = parsed.subgraphs[0]
    head = _head(schema, parsed)
    graph.operators = [operator for operator in graph.operators if operator is not head]
    graph.outputs = [head.inputs[0]]
    parsed.signatureDefs = None  # they name the removed output
    return _pack(parsed)


def head_of(model: bytes) -> Head:
    """Return the real weights and bias of the last layer."""
    schema, parsed = _parse(model)
    _, matrix, bias = (parsed.subgraphs[0].tensors[i] for i in _head(schema, parsed).inputs)
    weights = _stored(parsed, matrix, np.int8).astype(np.float32) * _scales(matrix)[:, None]
    return Head(weights, _stored(parsed, bias, np.int32).astype(np.float32) * _scales(bias))


def with_head(model: bytes, head: Head, features: Floats) -> bytes:
    """Replace the last layer of a file. `features` (n, features) of samples determine the range of the logits."""
    schema, parsed = _parse(model)
    graph = parsed.subgraphs[0]
    operator = _head(schema, parsed)
    entry, matrix, bias = (graph.tensors[i] for i in operator.inputs)
    output = graph.tensors[operator.outputs[0]]
    if head.weights.shape[1] != matrix.shape[1]:
        raise ModelError(
            f"the new last layer is made for {head.weights.shape[1]} features, the network gives {matrix.shape[1]}"
        )
    scales = np.maximum(np.abs(head.weights).max(axis=1), 1e-6) / 127  # one scale per label, as in the shipped file
    _fill(schema, parsed, matrix, np.rint(head.weights / scales[:, None]).astype(np.int8), scales)
    steps = scales * float(_scales(entry)[0])
    _fill(schema, parsed, bias, np.rint(head.bias / steps).astype(np.int32), steps)
    _set_range(output, features @ head.weights.T + head.bias)
    output.shape = np.array([1, len(head.bias)], np.int32)
    output.shapeSignature = None
    return _pack(parsed)


def _parse(model: bytes) -> tuple[Any, Any]:
    try:
        from ai_edge_litert import schema_py_generated as schema
    except ImportError:
        raise ModelError(
            f"training needs ai-edge-litert: {how_to_install('ai-edge-litert')} (tflite-runtime is not enough)"
        ) from None
    try:
        parsed = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
        _inline_buffers(parsed, model)
    except Exception as error:  # noqa: BLE001  # a damaged flatbuffer fails in any way
        raise ModelError(f"the network to build on is broken ({type(error).__name__}); install ferd again") from None
    return schema, parsed


def _inline_buffers(parsed: Any, model: bytes) -> None:
    """Move buffers that lie behind the flatbuffer, by offset and size, into it: packing changes the offsets."""
    for buffer in parsed.buffers:
        if buffer.offset > 1:  # 0 and 1 stand for none
            buffer.data = np.frombuffer(model, np.uint8, buffer.size, buffer.offset)
        buffer.offset = buffer.size = 0


def _pack(parsed: Any) -> bytes:
    import flatbuffers

    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(parsed.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _head(schema: Any, parsed: Any) -> Any:
    """Return the last operator. Raises ModelError when it is not an int8 fully connected layer."""
    graph = parsed.subgraphs[0]
    last = graph.operators[-1]
    code = parsed.operatorCodes[last.opcodeIndex]
    kind = max(code.builtinCode, code.deprecatedBuiltinCode)
    fits = (
        kind == schema.BuiltinOperator.FULLY_CONNECTED
        and list(last.outputs) == list(graph.outputs)
        and len(last.inputs) == 3  # features, weights, bias
        and [graph.tensors[i].type for i in last.inputs] == [INT8, INT8, INT32]
    )
    if not fits:
        raise ModelError("the network to build on does not end in an int8 fully connected layer; take ferd's own")
    return last


def _scales(tensor: Any) -> Floats:
    return np.asarray(tensor.quantization.scale, np.float32)


def _stored(parsed: Any, tensor: Any, dtype: type) -> NDArray[Any]:
    data = np.asarray(parsed.buffers[tensor.buffer].data, np.uint8)
    return data.view(dtype).reshape(tensor.shape)


def _fill(schema: Any, parsed: Any, tensor: Any, values: NDArray[Any], scales: NDArray[np.floating]) -> None:
    """Store new values in a new buffer: the old one may be shared."""
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
    tensor.buffer = len(parsed.buffers)
    parsed.buffers.append(buffer)
    tensor.shape = np.array(values.shape, np.int32)
    tensor.shapeSignature = None
    tensor.quantization.scale = np.asarray(scales, np.float32)
    tensor.quantization.zeroPoint = np.zeros(len(scales), np.int64)
    tensor.quantization.quantizedDimension = 0


def _set_range(output: Any, logits: NDArray[np.floating]) -> None:
    low, high = min(0.0, float(logits.min())), max(0.0, float(logits.max()))
    margin = MARGIN * max(high - low, 1e-3)
    scale = (high - low + 2 * margin) / 255
    output.quantization.scale = np.array([scale], np.float32)
    output.quantization.zeroPoint = np.array([round(-128 - (low - margin) / scale)], np.int64)
