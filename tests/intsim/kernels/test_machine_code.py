"""The machine code that the kernels become, for this processor and for others; and that none is made at import."""

import os
import subprocess
import sys

import pytest
from llvmlite import binding, ir

from intsim.kernels import amx, block_tiles, dots, machine
from intsim.kernels.machine import Route

binding.initialize_all_targets()
binding.initialize_all_asmprinters()

X86, ARM = "x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"


def assembly(triple: str, cpu: str, features: str, arguments: int, emit) -> list[str]:
    """The instructions of a function of `arguments` 64-bit integers whose body `emit` writes."""
    word = ir.IntType(64)
    module = ir.Module()
    module.triple = triple
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [word] * arguments), "tile")
    builder = ir.IRBuilder(function.append_basic_block())
    emit(builder, function.args)
    builder.ret_void()
    parsed = binding.parse_assembly(str(module))
    parsed.verify()
    target = binding.Target.from_triple(triple).create_target_machine(cpu=cpu, features=features, opt=3)
    passes = binding.create_pass_builder(target, binding.PipelineTuningOptions(speed_level=3))
    passes.getModulePassManager().run(parsed, passes)
    lines = (line.split("#")[0].strip() for line in target.emit_assembly(parsed).splitlines())
    return [line for line in lines if line and line[0] not in ".#/" and not line.endswith(":")]


def tile(dot, width, rows, vectors):
    return lambda builder, args: dots.emit_tile(builder, dot, width, rows, vectors, args)


TARGETS = {
    "AVX512-VNNI": (X86, "cascadelake", "", dots.BYTES_VNNI, 16, (8, 3), "vpdpbusd", "zmm"),
    "AVX-VNNI": (X86, "alderlake", "", dots.BYTES_VNNI, 8, (6, 2), "vpdpbusd", "ymm"),
    "AVX512": (X86, "skylake-avx512", "", dots.PAIRS, 16, (8, 3), "vpmaddwd", "zmm"),
    "AVX2": (X86, "haswell", "", dots.PAIRS, 8, (6, 2), "vpmaddwd", "ymm"),
    "SSE2": (X86, "x86-64", "", dots.PAIRS, 4, (4, 2), "pmaddwd", "xmm"),
    "AArch64 with dot products": (ARM, "neoverse-n1", "", dots.BYTES_SDOT, 4, (4, 2), "sdot", "v"),
    "AArch64": (ARM, "cortex-a57", "", dots.PAIRS, 4, (4, 2), "smull", "v"),
}


@pytest.mark.parametrize("name", TARGETS)
def test_inner_products_become_the_instruction_meant(name):
    triple, cpu, features, dot, width, (rows, vectors), instruction, register = TARGETS[name]
    lines = assembly(triple, cpu, features, 9, tile(dot, width, rows, vectors))
    found = [line for line in lines if instruction in line]
    assert len(found) >= rows * vectors, "\n".join(lines)
    assert all(register in line for line in found)
    if triple == X86 and width >= 8:  # nothing but the accumulators' first values comes from the stack
        spilled = [line for line in lines if "rsp" in line and register in line]
        assert spilled == []


def test_tiles_become_amx_instructions():
    for unsigned, product in ((0, "tdpbssd"), (1, "tdpbusd")):

        def emit(builder, args, unsigned=unsigned):
            amx.emit_configuration(builder)
            amx.emit_block(builder, unsigned, 2, 2, args)

        lines = assembly(X86, "sapphirerapids", "", 8, emit)
        products = sum(product in line for line in lines)  # four in a step, however often the loop is unrolled
        assert products % 4 == 0
        assert products > 0
        assert sum("tileloadd" in line for line in lines) == 4 + products  # the starting values, then two and two
        assert sum("tilestored" in line for line in lines) == 4
        assert sum("ldtilecfg" in line for line in lines) == 1


def test_sums_of_blocks_become_two_chains_of_tiles():
    """Two blocks at a time, each in tiles of its own, so that one is multiplied while the other is stored."""
    lines = assembly(X86, "sapphirerapids", "", 6, lambda builder, args: block_tiles.emit_sums(builder, *args))
    products = [line.split(None, 1)[1] for line in lines if line.startswith("tdpbssd")]
    assert products
    assert set(products) == {"%tmm4, %tmm2, %tmm0", "%tmm5, %tmm3, %tmm1"}
    assert products.count("%tmm4, %tmm2, %tmm0") * 2 == len(products)
    for name, each in (("tilezero", 1), ("tileloadd", 2), ("tilestored", 1)):
        assert sum(line.startswith(name) for line in lines) == each * len(products)


FEATURES = {
    ("avx512bw", "avx512vl", "avx512vnni"): (Route.VNNI, 16),
    ("avx512bw", "avx512vl"): (Route.PAIRS, 16),
    ("avx2", "avxvnni"): (Route.VNNI, 8),
    ("avx2",): (Route.PAIRS, 8),
    ("dotprod",): (Route.SDOT, 4),
    (): (Route.PAIRS, 4),
}


@pytest.mark.parametrize("features", FEATURES, ids=", ".join)
def test_the_processor_decides_the_route(features, monkeypatch):
    monkeypatch.delenv("INTSIM_KERNELS", raising=False)
    monkeypatch.setattr(machine, "_features", lambda: dict.fromkeys(features, True))
    for cached in (machine.route, machine.lanes, machine._may_use_tiles):
        cached.cache_clear()
    try:
        assert (machine.route(), machine.lanes()) == FEATURES[features]
    finally:
        for cached in (machine.route, machine.lanes, machine._may_use_tiles):
            cached.cache_clear()


# Start ----------------------------------------------------------------------------------------------------------


def in_new_process(code: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **env},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_no_kernel_is_compiled_at_import():
    code = """
import importlib, pkgutil
import intsim.kernels
for module in pkgutil.iter_modules(intsim.kernels.__path__, "intsim.kernels."):
    importlib.import_module(module.name)
from numba.core import event
from intsim.exact import compiled
print(compiled.cache_info().currsize)
"""
    assert in_new_process(code) == "0"


def test_a_product_compiles_once_and_is_then_loaded(tmp_path):
    code = """
import numpy as np
from intsim.exact import compiled
from intsim.kernels import product
from intsim.linear import matmul
x = np.ones((40, 40), dtype=np.int8)
assert int(matmul(x, x).sum()) == 40**3
print(sum(compiled(product.multiply_batch).stats.cache_hits.values()))
"""
    assert [in_new_process(code, INTSIM_CACHE_DIR=str(tmp_path)) for _ in range(2)] == ["0", "1"]


def test_a_changed_intrinsic_reaches_the_cached_kernel(monkeypatch):
    import inspect

    from intsim import exact
    from intsim.kernels import product

    before = exact._digest(product.multiply_vectors)
    original = inspect.getsource

    def changed(thing):
        return original(thing) + ("# changed\n" if thing is dots else "")

    monkeypatch.setattr(inspect, "getsource", changed)
    exact._digest.cache_clear()
    assert exact._digest(product.multiply_vectors) != before
    monkeypatch.undo()
    exact._digest.cache_clear()
    assert exact._digest(product.multiply_vectors) == before
