"""RTL as a NumPy function: right answers, speed, and every way in which a design can misbehave."""

import time

import numpy as np
import pytest
from flow_units import FromFirst, Mean, Total

from hdl import flow
from hdl.flow.simulation import NoAnswer, WrongAnswers
from intsim.errors import DtypeError, IntsimError, UnknownName
from intsim.formats import Fixed, Int
from intsim.tables import NLI

SIMULATORS = ("cxxrtl", "verilator")


@pytest.fixture(scope="module")
def silu():
    return NLI.design("silu", x=Fixed(16, 12), y=Fixed(16, 12), solver="equal")


def altered(tmp_path, unit, old, new, **options):
    """The unit's Verilog with one thing changed, as a file."""
    text = flow.rtl(unit, **options).verilog()
    assert old in text
    path = tmp_path / f"{unit.name}.v"
    path.write_text(text.replace(old, new, 1))
    return path


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_elementwise_shapes_and_broadcast(simulator):
    unit = Mean()
    model = flow.model(unit, simulator)
    a, b = np.arange(-32, 32).reshape(-1, 1), np.arange(32).reshape(1, -1)
    assert np.array_equal(model(a, b), unit(a, b))
    assert np.array_equal(model(a, b, stalls=(0.7, 0.2), seed=5), unit(a, b))
    assert model(5, 4) == 4
    assert model(a, b).dtype == unit(a, b).dtype


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("lanes", [1, 3, 4])
def test_rows_of_every_length(simulator, lanes):
    unit = FromFirst()
    model = flow.model(unit, simulator, lanes=lanes)
    rng = np.random.default_rng(lanes)
    for n in range(1, unit.max_row + 1):
        x = rng.integers(-128, 128, (2, 9, n))
        assert np.array_equal(model(x), unit(x))
        assert np.array_equal(model(x, stalls=0.4, seed=n), unit(x))


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_one_value_per_row(simulator):
    unit = Total()
    model = flow.model(unit, simulator)
    for n in (1, 2, 8):
        x = np.random.default_rng(n).integers(-(2**15), 2**15, (3, 40, n))
        assert model(x).shape == (3, 40)
        assert np.array_equal(model(x), unit(x))


def test_cycles_tell_latency(silu):
    for stages in (1, 4, 11):
        model = flow.model(silu, stages=stages)
        model(np.arange(100))
        assert model.last_run.first_answer == stages
        assert model.last_run.cycles == 100 + stages


def test_five_million_inputs_per_second(silu):
    """Processor time, so that a busy machine does not decide; both simulators."""
    x = np.tile(np.arange(-(2**15), 2**15, dtype=np.int16), 16)
    for simulator in SIMULATORS:
        model = flow.model(silu, simulator)
        begin = time.process_time()
        y = model(x)
        assert x.size / (time.process_time() - begin) > 5e6
        assert np.array_equal(y, silu(x))


def test_inputs_are_checked_like_the_units():
    model = flow.model(Mean())
    with pytest.raises(DtypeError):
        model(1.0, 2)
    with pytest.raises(IntsimError, match="outside"):
        model(32, 0)
    with pytest.raises(IntsimError, match="takes 2 inputs"):
        model(1)


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_a_design_that_never_answers(tmp_path, simulator):
    """Planted: valid stuck low, ready stuck low, the end of a row never marked."""
    silent = altered(tmp_path, Mean(), ".o__valid(m_axis_tvalid)", ".o__valid()")
    model = flow.model(Mean(), simulator, rtl=silent, timeout=500)
    with pytest.raises(NoAnswer, match="no transfer for 500 cycles after taking 3 of 3 inputs and giving 0 of 3"):
        model([1, 2, 3], [1, 2, 3])
    deaf = altered(tmp_path, Mean(), ".i__ready(s_axis_tready)", ".i__ready()")
    deaf.write_text(deaf.read_text().replace(".i__valid(s_axis_tvalid)", ".i__valid(1'h0)"))
    with pytest.raises(NoAnswer, match="after taking 0 of 1"):
        flow.model(Mean(), simulator, rtl=deaf, timeout=500)(1, 1)
    endless = altered(tmp_path, Total(), "assign m_axis_tlast = 1'h1", "assign m_axis_tlast = 1'h0")
    with pytest.raises(WrongAnswers, match="row 0: total answers 0 elements, 1 are expected"):  # it answers, endlessly
        flow.model(Total(), simulator, rtl=endless, timeout=500)([1, 2, 3])


def test_a_model_recovers_after_a_hang(tmp_path):
    """Every call begins with a reset."""
    text = flow.rtl(Mean()).verilog()
    path = tmp_path / "mean.v"
    # takes nothing more after the input a = 7
    stop = "reg stop = 0; always @(posedge clk) stop <= !rst & (stop | (s_axis_tvalid & s_axis_tdata[5:0] == 7));\n"
    text = text.replace("endmodule", f"wire ready; assign s_axis_tready = ready & ~stop; {stop}endmodule", 1)
    text = text.replace(".i__valid(s_axis_tvalid)", ".i__valid(s_axis_tvalid & ~stop)")
    path.write_text(text.replace(".i__ready(s_axis_tready)", ".i__ready(ready)"))
    model = flow.model(Mean(), rtl=path, timeout=100)
    assert model(3, 3) == 3
    with pytest.raises(WrongAnswers, match="after taking 1 of 2"):
        model([7, 1], [1, 1])
    assert model(4, 4) == 4


def test_too_many_answers(tmp_path):
    path = altered(tmp_path, Mean(), "o__valid <= i__valid", "o__valid <= 1'h1")
    with pytest.raises(WrongAnswers, match="more often"):
        flow.model(Mean(), rtl=path)([1, 2], [1, 2])


def test_an_answer_that_does_not_wait(tmp_path):
    path = altered(tmp_path, Mean(), "_0_ | o__ready", "1'h1")
    model = flow.model(Mean(), rtl=path)
    assert model(8, 8) == 8  # unstalled it is right
    with pytest.raises(WrongAnswers, match="before it is taken"):
        model(np.arange(20), np.arange(20), stalls=0.5)


def test_a_row_of_the_wrong_length(tmp_path):
    path = altered(tmp_path, FromFirst(), "assign m_axis_tlast = ", "assign m_axis_tlast = m_axis_tdata[0] | ")
    with pytest.raises(WrongAnswers, match="row 1: fromfirst answers 2 elements, 3 are expected"):
        flow.model(FromFirst(), rtl=path)([[0, 2, 4], [0, 1, 2], [0, 0, 0]])


def test_files_that_cannot_be_built(tmp_path):
    for simulator in SIMULATORS:
        broken = altered(tmp_path, Mean(), "endmodule", "endmodul")
        with pytest.raises(IntsimError, match="failed"):
            flow.model(Mean(), simulator, rtl=broken)
        other = altered(tmp_path, Mean(), "module mean(", "module nobody(")
        with pytest.raises(IntsimError, match="mean"):
            flow.model(Mean(), simulator, rtl=other)
        missing_port = altered(tmp_path, Mean(), "s_axis_tdata", "s_axis_data")
        with pytest.raises(IntsimError, match="s_axis_"):
            flow.model(Mean(), simulator, rtl=missing_port)
    with pytest.raises(IntsimError, match="cannot read"):
        flow.model(Mean(), rtl=tmp_path / "nowhere.v")


def test_changed_text_is_never_served_from_the_cache(tmp_path):
    right = altered(tmp_path, Mean(), "module", "module")
    assert flow.model(Mean(), rtl=right)(10, 4) == 7
    wrong = altered(tmp_path, Mean(), "+", "-")
    assert flow.model(Mean(), rtl=wrong)(10, 4) == 3


def test_unknown_simulator():
    with pytest.raises(UnknownName, match="did you mean 'verilator'"):
        flow.model(Mean(), "verilater")


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("bits", [7, 24, 33, 64])
def test_wide_ports(simulator, bits):
    """Containers of one to sixteen bytes in both simulators."""
    unit = Mean(Int(bits), Int(bits - 1, signed=False))
    model = flow.model(unit, simulator)
    if bits == 64:  # the golden sum needs 65 bits: compare where it has fewer
        a, b = np.array([2**62, -(2**63), -1, 5]), np.array([2**62 - 1, 2**63 - 1, 0, 6], dtype=np.uint64)
        assert model(a, b).tolist() == [(int(p) + int(q)) >> 1 for p, q in zip(a, b, strict=True)]
        return
    rng = np.random.default_rng(bits)
    a = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), 1000)
    b = rng.integers(0, 2 ** (bits - 1), 1000)
    assert np.array_equal(model(a, b), unit(a, b))
