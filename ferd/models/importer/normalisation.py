"""How a float model wants its pixels, where TFLite metadata says it: NormalizationOptions of its input.

The metadata is a flatbuffer of its own inside the file, with the identifier "M001". Schema:
tensorflow/lite/schema/metadata_schema.fbs; read here by field number, of the few fields that matter.
"""

from __future__ import annotations

import struct
from typing import Any

IDENTIFIER = b"M001"
# The number of a field in its table, as the schema lists them.
SUBGRAPHS, INPUTS, PROCESS_UNITS, OPTIONS_TYPE, OPTIONS, MEAN, STD = 3, 2, 4, 0, 1, 0, 1
NORMALIZATION = 1  # in the union ProcessUnitOptions


def normalisation(model: bytes) -> tuple[float, float] | None:
    """(mean, std) of (value / 255 - mean) / std, None where the file does not say it, or not legibly."""
    try:
        import flatbuffers.table as flat

        at = model.find(IDENTIFIER) - 4
        if at < 0:
            return None
        root = flat.Table(model, at + struct.unpack_from("<I", model, at)[0])
        for subgraph in _tables(flat, root, SUBGRAPHS)[:1]:
            for entry in _tables(flat, subgraph, INPUTS)[:1]:
                for unit in _tables(flat, entry, PROCESS_UNITS):
                    if found := _options(flat, unit):
                        return found
    except (ImportError, struct.error, IndexError, ValueError, OverflowError, TypeError):
        return None
    return None


def _options(flat: Any, unit: Any) -> tuple[float, float] | None:
    kind = unit.Offset(4 + 2 * OPTIONS_TYPE)
    options = unit.Offset(4 + 2 * OPTIONS)
    if not kind or not options or unit.Bytes[unit.Pos + kind] != NORMALIZATION:
        return None
    table = flat.Table(unit.Bytes, unit.Indirect(unit.Pos + options))
    mean, std = (_first_float(table, field) for field in (MEAN, STD))
    return (mean / 255, std / 255) if mean is not None and std else None


def _first_float(table: Any, field: int) -> float | None:
    """One number for all channels: models with different ones for red, green and blue are not met here."""
    offset = table.Offset(4 + 2 * field)
    if not offset or not table.VectorLen(offset):
        return None
    value: float = struct.unpack_from("<f", table.Bytes, table.Vector(offset))[0]
    return value


def _tables(flat: Any, table: Any, field: int) -> list[Any]:
    offset = table.Offset(4 + 2 * field)
    if not offset:
        return []
    begin = table.Vector(offset)
    return [flat.Table(table.Bytes, table.Indirect(begin + 4 * n)) for n in range(min(table.VectorLen(offset), 16))]
