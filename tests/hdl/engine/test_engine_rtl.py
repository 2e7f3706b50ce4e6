"""The engine's hardware: every mode and number of lanes equals the golden model, in the cycles stated."""

import json

import numpy as np
import pytest
from row_inputs import random_rows, shaped_rows

import hdl
import hdl.flow
from hdl.engine import table
from intsim import IntsimError
from intsim.engine import Engine, Mode, stored_bank

ENGINE = Engine.design(max_row=32)
UNITS = {
    "gelu": ENGINE.load(0, stored_bank("gelu")),
    "tanh": ENGINE.load(1, stored_bank("tanh")).select(Mode.TABLE, 1),
    "softmax": ENGINE.load(1, stored_bank("exp")).select(Mode.SOFTMAX, 1),
    "layernorm": ENGINE.select(Mode.LAYERNORM, 0),
    "rmsnorm": ENGINE.select(Mode.RMSNORM, 1),
}
FAST = {("gelu", 2), ("softmax", 1), ("layernorm", 3), ("rmsnorm", 1)}
CASES = [
    pytest.param(name, lanes, marks=() if (name, lanes) in FAST else pytest.mark.full)
    for name in UNITS
    for lanes in (1, 2, 3, 4, 16)
]


@pytest.mark.parametrize(("name", "lanes"), CASES)
def test_rows_and_cycles(name, lanes):
    unit = UNITS[name]
    device, part = hdl.flow.model(unit, lanes=lanes), hdl.create(unit, lanes=lanes)
    rng = np.random.default_rng(lanes)
    for n in (1, 2, 3, 31, 32):
        (x,) = random_rows(unit, n, 400 if lanes == 1 else 100, rng)
        for rows in (shaped_rows(unit, n)[0], x):
            assert np.array_equal(device(rows), unit(rows))
        spent = device.last_run.cycles - 1
        device(x[:1])
        assert device.last_run.cycles - 1 == part.cycles(n)
        # at the stated rate, after the two jobs of a row have once found their places in the one divider
        assert spent <= part.cycles(n) + (len(x) - 1) * part.sustained(n) + part.pace


def test_every_code_of_a_table():
    unit = UNITS["gelu"]
    codes = unit.x.codes() if hasattr(unit, "x") else np.arange(-(1 << 15), 1 << 15).astype(np.int16)
    assert np.array_equal(hdl.flow.model(unit, lanes=2)(codes.reshape(-1, 32)), unit(codes.reshape(-1, 32)))


def test_the_stated_cost_is_that_of_this_rtl():
    """Whoever changes the engine measures it again: ``python -m hdl.engine.table``, then ``docs/regenerate.py``."""
    kept = json.loads(table.KEPT.read_text())
    assert set(kept) == {"1", "4", "16"}
    for lanes, found in kept.items():
        assert found["rtl"] == table.digest(int(lanes))
        assert found["device"] == table.DEVICES[int(lanes)]
        assert found["fmax"] >= 90 if int(lanes) in table.ROUTED else found["fmax"] is None


def test_lanes_are_one_to_sixteen():
    for lanes in (0, 17, "two"):
        with pytest.raises(IntsimError, match="1 to 16 lanes"):
            hdl.create(ENGINE, lanes=lanes)
