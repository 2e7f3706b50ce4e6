"""The engine's golden model: all modes, its stored tables, its registers and driver on a bus of memory."""

import dataclasses
import re
import subprocess

import numpy as np
import pytest
from operators import assert_exact, assert_integer_only

from intsim import Fixed, IntsimError, Unit
from intsim.engine import FUNCTIONS, Driver, Engine, Mode, register_map, stored_bank
from intsim.engine.functions import error
from intsim.engine.registers import IDENTITY

ENGINE = Engine.design(max_row=64)
MODES = {
    "table": ENGINE.load(0, stored_bank("gelu")),
    "softmax": ENGINE.load(1, stored_bank("exp")).select(Mode.SOFTMAX, 1),
    "layernorm": ENGINE.select(Mode.LAYERNORM, 0),
    "rmsnorm": ENGINE.select(Mode.RMSNORM, 0),
}


@pytest.mark.parametrize("mode", MODES)
def test_modes_are_exact_and_json_is_lossless(mode):
    unit = MODES[mode]
    rows = unit.corners()[0]
    assert_exact(unit, rows)
    assert_integer_only(unit, rows[:20])
    rng = np.random.default_rng(1)
    for n in (1, 2, 3, 64):
        assert_exact(unit, rng.integers(-(1 << 15), 1 << 15, (3, n)).astype(np.int16))
    assert Unit.from_json(unit.to_json()) == unit


@pytest.mark.parametrize(
    ("fn", "most"),
    [
        ("exp", 1.0),
        ("reciprocal", 0.99),
        ("rsqrt", 1.7),
        ("gelu", 0.94),
        ("silu", 1.06),
        ("sigmoid", 1.62),
        ("tanh", 1.27),
    ],
)
def test_error_of_the_stored_tables(fn, most):
    """In codes of the output, on every input of the domain; outside of it, the value at its end."""
    x, y, domain = FUNCTIONS[fn]
    codes, bank = x.codes(), stored_bank(fn)
    got = ENGINE.load(0, bank)(codes.reshape(-1, 64)).reshape(-1)
    values = x.decode(codes)
    real = bank.table.real(values if domain is None else np.clip(values, *domain)) * 2.0**y.frac
    assert np.abs(got - np.clip(real, y.lo, y.hi)).max() < most
    assert error(fn) < most


def test_softmax_and_norms_against_the_real_functions():
    rng = np.random.default_rng(2)
    scores = Fixed(16, 11).encode(rng.normal(0, 2, (20, 64)), saturate=True)
    bank = stored_bank("exp")
    e = np.exp(scores / 2.0**11 - scores.max(-1, keepdims=True) / 2.0**11)
    wanted = e / e.sum(-1, keepdims=True) * 2.0**bank.places
    assert np.abs(MODES["softmax"](scores) - wanted).max() < 8
    x = rng.integers(-3000, 3000, (20, 64)).astype(np.int16)
    places = 11  # four bits before the point
    coarse = ENGINE.load(0, dataclasses.replace(ENGINE.banks[0], places=places))
    centred = x - x.mean(-1, keepdims=True)
    wanted = centred / np.sqrt((centred**2).mean(-1, keepdims=True)) * 2.0**places
    assert np.abs(coarse.select(Mode.LAYERNORM, 0)(x) - wanted).max() < 4
    wanted = x / np.sqrt((x.astype(float) ** 2).mean(-1, keepdims=True)) * 2.0**places
    assert np.abs(coarse.select(Mode.RMSNORM, 0)(x) - wanted).max() < 4


class Memory:
    """A bus of plain words, filled as the hardware would answer."""

    def __init__(self, engine: Engine):
        self.words: dict[int, int] = {}
        registers = register_map(engine)
        self.words[0] = IDENTITY
        self.words[registers.address("SHAPE")] = registers["SHAPE"].packed(MAX_ROW=engine.max_row)
        values = {
            "INTERVALS": engine.intervals, "BINS": engine.bins, "T_BITS": engine.t_bits,
            "MANTISSA_BITS": engine.mantissa_bits, "BITS": engine.bits,
        }  # fmt: skip
        self.words[registers.address("TABLES")] = registers["TABLES"].packed(**values)

    def read(self, where: int) -> int:
        return self.words.get(where, 0)

    def write(self, where: int, value: int) -> None:
        assert where % 4 == 0
        assert 0 <= value < 1 << 32
        self.words[where] = value


def test_the_driver_writes_every_register_of_a_bank():
    memory = Memory(ENGINE)
    driver = Driver(memory, ENGINE)
    driver.load(1, stored_bank("exp"))
    driver.select(Mode.SOFTMAX, 1)
    assert driver.engine == MODES["softmax"]
    registers = register_map(ENGINE)
    for register in registers.registers:
        if register.banked:
            assert all(registers.address(register.name, k, 1) in memory.words for k in range(register.count))
            assert not any(registers.address(register.name, k, 0) in memory.words for k in range(register.count))
    table = stored_bank("exp").table.table
    assert [memory.words[registers.address("WORD", k, 1)] for k in range(len(table))] == [w & 0xFFFFFFFF for w in table]
    with pytest.raises(IntsimError, match="selected"):
        driver.load(1, stored_bank("gelu"))


def test_the_driver_knows_another_engine():
    with pytest.raises(IntsimError, match="MAX_ROW"):
        Driver(Memory(Engine.design(max_row=32)), ENGINE)
    strange = Memory(ENGINE)
    strange.words[0] = 1
    with pytest.raises(IntsimError, match="ID reads"):
        Driver(strange, ENGINE)
    busy = Memory(ENGINE)
    busy.words[register_map(ENGINE).address("STATUS")] = 3
    driver = Driver(busy, ENGINE)
    driver.patience = 10
    with pytest.raises(IntsimError, match="stays busy"):
        driver.load(1, stored_bank("gelu"))


def test_the_registers_may_lie_anywhere():
    memory = Memory(ENGINE)
    memory.words = {0x4000_0000 + where: word for where, word in memory.words.items()}
    driver = Driver(memory, ENGINE, base=0x4000_0000)
    driver.select(Mode.RMSNORM, 1)
    assert memory.words[0x4000_0000 + register_map(ENGINE).address("CONTROL")] == 0x13


@pytest.mark.parametrize(
    ("dimensions", "says"),
    [
        ({"max_row": 70_000, "factor_bits": 18}, "1 to 65535 elements"),
        ({"mantissa_bits": 40}, "at most 32 bits"),
        ({"intervals": 2, "bins": 2000}, "1 to 1023 bins"),
    ],
)
def test_no_engine_is_larger_than_its_registers_can_say(dimensions, says):
    with pytest.raises(IntsimError, match=says):
        Engine.design(**dimensions)


@pytest.mark.parametrize(
    "dimensions",
    [
        {},
        {"intervals": 15},
        {"intervals": 2},
        {"bins": 3},
        {"bits": 12},
        {"bits": 18, "mantissa_bits": 18},
        {"bits": 8, "bins": 16, "t_bits": 8, "mantissa_bits": 12},
    ],
)
def test_an_engine_as_designed_passes_every_code_through(dimensions):
    engine = Engine.design(**dimensions)
    codes = engine.inputs["x"].codes().reshape(-1, 64)
    assert np.array_equal(engine(codes), codes)


def test_an_epsilon_that_the_sum_cannot_hold_is_refused():
    """The largest one passes through a row of the largest mean square, exactly; one more is refused."""
    narrow = Engine.design(bits=8, bins=16, t_bits=8, mantissa_bits=12, max_row=63)
    most = ((1 << narrow.widths["sum"]) - 1) // 63 - (1 << 14)
    unit = narrow.load(1, dataclasses.replace(narrow.banks[1], places=6, epsilon=most)).select(Mode.RMSNORM, 1)
    assert_exact(unit, np.full((2, 63), -128, dtype=np.int8))
    with pytest.raises(IntsimError, match=f"at most {most}"):
        narrow.load(1, dataclasses.replace(narrow.banks[1], epsilon=most + 1))


def test_the_c_header_and_the_package_say_what_the_map_says(tmp_path):
    registers = register_map(ENGINE)
    wanted = {f"ENGINE_{name}": value for name, value in registers.constants()}
    assert wanted["ENGINE_WORD"] == registers.address("WORD")
    (tmp_path / "engine.h").write_text(registers.c_header())
    prints = "".join(f'printf("{name} %u\\n", {name});' for name in wanted)
    address_of = 'printf("at %u\\n", ENGINE_ADDRESS(ENGINE_CUT, 3u, 1u));'
    (tmp_path / "main.c").write_text(
        f'#include <stdio.h>\n#include "engine.h"\nint main(void) {{ {prints}{address_of} }}'
    )
    subprocess.run(["gcc", "-std=c99", "-Wall", "-Werror", "-o", "main", "main.c"], cwd=tmp_path, check=True)
    said = dict(line.split() for line in subprocess.check_output([tmp_path / "main"], text=True).splitlines())
    assert int(said.pop("at")) == registers.address("CUT", 3, 1)
    assert {name: int(value) for name, value in said.items()} == wanted
    package = registers.sv_package()
    found = dict(re.findall(r"localparam int unsigned (\w+) = 32'h([0-9A-F]+);", package))
    assert {f"ENGINE_{name}": int(value, 16) for name, value in found.items()} == wanted


def test_registers_do_not_overlap():
    taken: set[int] = set()
    registers = register_map(ENGINE)
    for register in registers.registers:
        for bank in (0, 1) if register.banked else (0,):
            for k in range(register.count):
                where = registers.address(register.name, k, bank)
                assert where not in taken
                taken.add(where)
    with pytest.raises(IntsimError, match="does not exist"):
        registers.address("CUT", 99, 1)
