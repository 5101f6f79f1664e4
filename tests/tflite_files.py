"""Small TFLite files of any kind: what a test needs that nobody exports twice alike."""

import io
import zipfile

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

TYPES = {"float32": 0, "float16": 1, "int32": 2, "uint8": 3, "bool": 6, "int8": 9}
QUANTISED = ("int8", "uint8")


def classifier(shape=(1, 16, 16, 3), classes=3, dtype="float32", *, outputs=1, half=False, softmax=True, seed=1):
    """A classifier of one fully connected layer (and softmax), as the bytes of a .tflite file.

    `dtype`: of input and output. `outputs`: so many heads. `half`: weights stored as float16.
    """
    file = _File(shape=shape, classes=classes, dtype=dtype, half=half, softmax=softmax, rng=np.random.default_rng(seed))
    return file.build(outputs)


def two_heads(sizes, shape=(1, 16, 16, 3)):
    """A float classifier with an output of each of these numbers of scores."""
    file = _File(shape=shape, classes=0, dtype="float32", half=False, softmax=True, rng=np.random.default_rng(1))
    return file.build(len(sizes), sizes)


def constant(values, shape=(1, 16, 16, 1)):
    """A float classifier that gives these values for every picture."""
    file = _File(shape=shape, classes=len(values), dtype="float32", half=False, softmax=False, rng=None)
    file.always = values
    return file.build(1)


def with_float_input(data, factor, shift):
    """The same quantised model behind a float input: its old input is `factor` times the new one, plus `shift`.

    So a model that was trained on another scale of the pixels can be had, with the same answers.
    """
    file = _File(shape=(), classes=0, dtype="float32", half=False, softmax=False, rng=None)
    file.model = schema.ModelT.InitFromPackedBuf(data, 0)
    for buffer in file.model.buffers:
        if buffer.offset > 1:  # a place behind the flatbuffer
            buffer.data = np.frombuffer(data, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    file.graph = file.model.subgraphs[0]
    old = file.graph.inputs[0]
    file.shape = tuple(int(side) for side in file.graph.tensors[old].shape)
    entry, scaled, moved = (file.tensor(name, file.shape, "float32", None) for name in ("pixels", "scaled", "moved"))
    by, plus = (
        file.tensor(name, (), "float32", None, np.array(v, np.float32)) for name, v in (("by", factor), ("plus", shift))
    )
    rest, file.graph.operators = list(file.graph.operators), []
    file.operator("MUL", [entry, by], [scaled], schema.MulOptionsT())
    file.operator("ADD", [scaled, plus], [moved], schema.AddOptionsT())
    file.operator("QUANTIZE", [moved], [old], schema.QuantizeOptionsT())
    file.graph.operators += rest
    file.graph.inputs = [entry]
    file.model.signatureDefs = None
    builder = flatbuffers.Builder(1024)
    builder.Finish(file.model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def hanging(low, high, shape=(1, 32, 32, 1), classes=3):
    """A float classifier that loops without end on every input whose mean lies between `low` and `high`."""
    file = _File(shape=shape, classes=classes, dtype="float32", half=False, softmax=True, rng=np.random.default_rng(1))
    file.loop_while_mean_between(low, high)
    return file.build(1)


def greedy(side=20_000):
    """A float classifier whose second tensor alone needs `side` squared numbers of memory."""
    file = _File(
        shape=(1, 32, 32, 1), classes=3, dtype="float32", half=False, softmax=True, rng=np.random.default_rng(1)
    )
    file.huge = side
    return file.build(1)


def with_labels_inside(data, text):
    """The same file with TFLite metadata's associated label file: a zip at its end."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("labels.txt", text)
    return data + archive.getvalue()


def metadata(mean, std):
    """TFLite metadata that says how the input is normalised, nothing else (metadata_schema.fbs)."""
    builder = flatbuffers.Builder(256)

    def floats(value):
        builder.StartVector(4, 1, 4)
        builder.PrependFloat32(value)
        return builder.EndVector()

    def table(fields, **slots):
        builder.StartObject(fields)
        for slot, value in slots.items():
            builder.PrependUOffsetTRelativeSlot(int(slot[1:]), value, 0)
        return builder

    def vector(item):
        builder.StartVector(4, 1, 4)
        builder.PrependUOffsetTRelative(item)
        return builder.EndVector()

    means, spreads = floats(mean), floats(std)
    options = table(2, f0=means, f1=spreads).EndObject()
    table(2, f1=options).PrependUint8Slot(0, 1, 0)
    units = vector(builder.EndObject())
    entry = table(5, f4=units).EndObject()
    entries = vector(entry)
    subgraph = table(3, f2=entries).EndObject()
    subgraphs = vector(subgraph)
    builder.Finish(table(4, f3=subgraphs).EndObject(), b"M001")
    return bytes(builder.Output())


class _File:
    def __init__(self, *, shape, classes, dtype, half, softmax, rng):
        self.shape, self.classes, self.dtype = shape, classes, dtype
        self.half, self.softmax, self.rng = half, softmax, rng
        self.loop, self.huge, self.always = None, None, None
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.buffers = [schema.BufferT()]
        self.model.operatorCodes = []
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.model.subgraphs = [self.graph]

    def build(self, outputs, sizes=()):
        length = int(np.prod(self.shape[1:]))
        entry = self.tensor("input", self.shape, self.dtype, self.quantisation(2 / 255))
        graph_entry = entry
        if self.loop:
            entry = self.looped(entry)
        if self.huge:
            self.blown_up(entry)
        ends = []
        for n in range(outputs):
            self.classes = sizes[n] if sizes else self.classes
            if self.always is None:
                weights = self.rng.normal(0, 0.5 / np.sqrt(length), (self.classes, length)).astype(np.float32)
            else:
                weights = np.zeros((self.classes, length), np.float32)
            logits = self.fully_connected(entry, weights, n)
            ends.append(self.softmaxed(logits, n) if self.softmax else logits)
        self.graph.inputs, self.graph.outputs = [graph_entry], ends
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def loop_while_mean_between(self, low, high):
        self.loop = low, high

    def looped(self, entry):
        """The input, after a WHILE that ends at once unless the mean lies within the bounds."""
        result = self.tensor("looped", self.shape, "float32", None)
        options = schema.WhileOptionsT()
        options.condSubgraphIndex, options.bodySubgraphIndex = 1, 2
        self.operator("WHILE", [entry], [result], options)
        main = self.graph
        low, high = self.loop
        self.subgraph()
        value = self.tensor("value", self.shape, "float32", None)
        axes = self.tensor("axes", (4,), "int32", None, np.arange(4, dtype=np.int32))
        mean = self.tensor("mean", (), "float32", None)
        self.operator("MEAN", [value, axes], [mean], schema.ReducerOptionsT())
        above, below, both = (self.tensor(name, (), "bool", None) for name in ("above", "below", "both"))
        lower, upper = (
            self.tensor(name, (), "float32", None, np.array(bound, np.float32))
            for name, bound in (("low", low), ("high", high))
        )
        self.operator("GREATER", [mean, lower], [above], schema.GreaterOptionsT())
        self.operator("LESS", [mean, upper], [below], schema.LessOptionsT())
        self.operator("LOGICAL_AND", [above, below], [both], schema.LogicalAndOptionsT())
        self.graph.inputs, self.graph.outputs = [value], [both]
        self.subgraph()
        value = self.tensor("value", self.shape, "float32", None)
        zero = self.tensor("zero", (), "float32", None, np.array(0, np.float32))
        same = self.tensor("same", self.shape, "float32", None)
        self.operator("ADD", [value, zero], [same], schema.AddOptionsT())
        self.graph.inputs, self.graph.outputs = [value], [same]
        self.graph = main
        return result

    def blown_up(self, entry):
        """An operator on the side that fills a huge tensor."""
        shape = self.tensor("shape", (2,), "int32", None, np.full(2, self.huge, np.int32))
        value = self.tensor("value", (), "float32", None, np.array(1, np.float32))
        huge = self.tensor("huge", (self.huge, self.huge), "float32", None)
        self.operator("FILL", [shape, value], [huge], schema.FillOptionsT())

    def subgraph(self):
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.model.subgraphs.append(self.graph)

    def quantisation(self, scale, zero=None):
        """What int8 and uint8 tensors carry; None for floats."""
        if self.dtype not in QUANTISED:
            return None
        middle = 0 if self.dtype == "int8" else 128
        return scale, middle if zero is None else zero + middle

    def fully_connected(self, entry, weights, n):
        if self.dtype in QUANTISED:
            scale = float(np.abs(weights).max()) / 127
            stored, kind, quantised = np.rint(weights / scale).astype(np.int8), "int8", (scale, 0)
            if self.dtype == "uint8":
                stored, kind, quantised = (stored.astype(np.int16) + 128).astype(np.uint8), "uint8", (scale, 128)
            bias = self.tensor("bias", (self.classes,), "int32", (scale * 2 / 255, 0), np.zeros(self.classes, np.int32))
        else:
            stored, kind, quantised = weights, "float32", None
            values = np.zeros(self.classes, np.float32) if self.always is None else np.array(self.always, np.float32)
            bias = self.tensor("bias", (self.classes,), "float32", None, values)
        if self.half:
            half = self.tensor("half", weights.shape, "float16", None, weights.astype(np.float16))
            matrix = self.tensor("weights", weights.shape, "float32", None)
            self.operator("DEQUANTIZE", [half], [matrix])
        else:
            matrix = self.tensor("weights", weights.shape, kind, quantised, stored)
        logits = self.tensor(f"logits{n}", (1, self.classes), self.dtype, self.quantisation(4 / 255))
        options = schema.FullyConnectedOptionsT()
        self.operator("FULLY_CONNECTED", [entry, matrix, bias], [logits], options)
        return logits

    def softmaxed(self, logits, n):
        options = schema.SoftmaxOptionsT()
        options.beta = 1.0
        result = self.tensor(f"scores{n}", (1, self.classes), self.dtype, self.quantisation(1 / 256, -128))
        self.operator("SOFTMAX", [logits], [result], options)
        return result

    def tensor(self, name, shape, dtype, quantised, values=None):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), TYPES[dtype], 0
        if quantised:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [quantised[0]], [quantised[1]]
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(self, name, inputs, outputs, options=None):
        number = getattr(schema.BuiltinOperator, name)
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = number
        code.version = 1 if name != "FULLY_CONNECTED" or self.dtype != "int8" else 4
        self.model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = len(self.model.operatorCodes) - 1, inputs, outputs
        if options is not None:
            operator.builtinOptions = options
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        self.graph.operators.append(operator)
