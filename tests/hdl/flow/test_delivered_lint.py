"""Every unit's Verilog is delivered, and Verilator has nothing to say about it."""

import pytest
from operator_units import ELEMENTWISE, ROWS

from hdl import flow
from hdl.flow import tools
from intsim.engine import Engine

UNITS = {**ELEMENTWISE, **ROWS, "engine": Engine.design()}
FAST = {"ivit_layernorm_bias", "db_attn_factored", "qans_nli", "engine"}
CASES = [
    pytest.param(name, shell, marks=() if name in FAST and shell != "lite" else pytest.mark.full)
    for name in UNITS
    for shell in ("stream", "both", "lite")
]


@pytest.mark.parametrize(("name", "shell"), CASES)
def test_verilog_is_delivered_and_clean(name, shell, tmp_path):
    unit = UNITS[name]
    for lanes in (1, 3) if unit.is_row and shell != "lite" else (1,):
        folder = tmp_path / str(lanes)
        paths = flow.verilog(unit, folder, shell=shell, **({"lanes": lanes} if lanes > 1 else {}))
        packages = [path.name for path in paths.values() if path.name.endswith("_pkg.sv")]
        files = [paths["waivers"].name, *packages, paths["verilog"].name]
        assert "%Warning" not in tools.verilator(["--lint-only", "-Wall", *files], folder)
