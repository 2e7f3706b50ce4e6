"""ONNX Runtime: its integer operators, and float32 where it has no integer one."""

from __future__ import annotations

import os

import numpy as np
import onnx
import onnxruntime
from onnx import helper

from benchmarks.data import channel_constants, operands, real_rows, rows, rows16, single_constants


def _session(nodes, inputs, outputs, constants, opset=21):
    """A bound session: inputs and outputs stay where they are."""
    tensors = [onnx.numpy_helper.from_array(np.ascontiguousarray(v), n) for n, v in constants.items()]
    described = [
        [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for n, v in side.items()]
        for side in (inputs, outputs)
    ]
    graph = helper.make_graph(nodes, "case", *described, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for name, value in inputs.items():
        binding.bind_cpu_input(name, value)
    held = {name: onnxruntime.OrtValue.ortvalue_from_numpy(value) for name, value in outputs.items()}
    for name, value in held.items():
        binding.bind_ortvalue_output(name, value)

    def run():
        session.run_with_iobinding(binding)
        return next(iter(held.values())).numpy()

    return run


def _out(shape, dtype):
    return {"y": np.empty(shape, dtype=dtype)}


def gemm(case):
    """Unsigned by signed, its fast pair: the offset goes into the zero point."""
    a, b = operands(case)
    shifted = (a.astype(np.int16) + 128).astype(np.uint8)
    node = helper.make_node("MatMulInteger", ["a", "b", "za"], ["y"])
    return _session(
        [node], {"a": shifted}, _out((case.shape[0], case.shape[2]), np.int32), {"b": b, "za": np.uint8(128)}
    )


def batch(case):
    a, b = operands(case)
    shifted = (a.astype(np.int16) + 128).astype(np.uint8)
    node = helper.make_node("MatMulInteger", ["a", "b", "za"], ["y"])
    shape = (case.shape[0], case.shape[1], case.shape[3])
    return _session([node], {"a": shifted, "b": b}, _out(shape, np.int32), {"za": np.uint8(128)})


def fused(case):
    a, b = operands(case)
    m, s = channel_constants(case.shape[2])
    shifted = (a.astype(np.int16) + 128).astype(np.uint8)
    constants = {
        "b": b,
        "za": np.uint8(128),
        "one": np.float32(1),
        "sb": (m / 2.0**s).astype(np.float32),
        "zb": np.zeros(len(m), np.int8),
        "zy": np.uint8(128),
    }
    node = helper.make_node("QLinearMatMul", ["a", "one", "za", "b", "sb", "zb", "one", "zy"], ["y"])
    return _session([node], {"a": shifted}, _out((case.shape[0], case.shape[2]), np.uint8), constants)


def requantise(case):
    x = real_rows(case)
    m, s = single_constants()
    scale = np.float32(2.0**s / m / 2**17)
    node = helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"])
    return _session([node], {"x": x}, _out(x.shape, np.int8), {"s": scale, "z": np.int8(0)})


def channels(case):
    acc = rows(case)
    m, s = channel_constants(case.shape[1])
    constants = {"si": (m / 2.0**s).astype(np.float32), "zi": np.zeros(len(m), np.int32), "s": np.float32(1)}
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "si", "zi"], ["r"], axis=1),
        helper.make_node("QuantizeLinear", ["r", "s", "z"], ["y"]),
    ]
    return _session(nodes, {"x": acc}, _out(acc.shape, np.int8), {**constants, "z": np.int8(0)})


def dynamic(case):
    """One range for the whole tensor: it has none per row."""
    x = real_rows(case)
    node = helper.make_node("DynamicQuantizeLinear", ["x"], ["y", "s", "z"])
    outputs = {**_out(x.shape, np.uint8), "s": np.empty((), np.float32), "z": np.empty((), np.uint8)}
    return _session([node], {"x": x}, outputs, {})


def softmax(case):
    x = real_rows(case)
    return _session([helper.make_node("Softmax", ["x"], ["y"], axis=-1)], {"x": x}, _out(x.shape, np.float32), {})


def norm(case):
    x = real_rows(case)
    n = case.shape[1]
    node = helper.make_node("LayerNormalization", ["x", "g", "b"], ["y"], axis=-1)
    constants = {"g": np.ones(n, np.float32), "b": np.zeros(n, np.float32)}
    return _session([node], {"x": x}, _out(x.shape, np.float32), constants)


def table16(case):
    x = rows16(case).astype(np.float32) / np.float32(4096)
    return _session([helper.make_node("Gelu", ["x"], ["y"])], {"x": x}, _out(x.shape, np.float32), {})
