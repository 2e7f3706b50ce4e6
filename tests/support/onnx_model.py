"""A model of one node for ONNX Runtime, written as protocol-buffer bytes: the `onnx` package is not needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime

__all__ = ["run_node"]

_TYPES = {"float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7}


def run_node(operator: str, inputs: Mapping[str, np.ndarray], outputs: Mapping[str, str], opset: int = 21) -> list[Any]:
    """What ONNX Runtime computes for one operator.

    Parameters
    ----------
    operator : such as ``QuantizeLinear``
    inputs : arrays by name, in the operator's order
    outputs : their types by name, in the operator's order
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    model = _model(operator, inputs, outputs, opset)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(list(outputs), dict(inputs))


def _model(operator: str, inputs: Mapping[str, np.ndarray], outputs: Mapping[str, str], opset: int) -> bytes:
    node = (
        b"".join(_text(1, name) for name in inputs) + b"".join(_text(2, name) for name in outputs) + _text(4, operator)
    )
    graph = _bytes(1, node) + _text(2, "graph")
    for name, array in inputs.items():
        graph += _bytes(11, _value(name, array.dtype.name, array.shape))
    for name, kind in outputs.items():
        graph += _bytes(12, _value(name, kind, None))
    return _integer(1, 10) + _bytes(7, graph) + _bytes(8, _text(1, "") + _integer(2, opset))


def _value(name: str, kind: str, shape: Sequence[int] | None) -> bytes:
    tensor = _integer(1, _TYPES[kind])
    if shape is not None:
        tensor += _bytes(2, b"".join(_bytes(1, _integer(1, size)) for size in shape))
    return _text(1, name) + _bytes(2, _bytes(1, tensor))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _integer(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())
