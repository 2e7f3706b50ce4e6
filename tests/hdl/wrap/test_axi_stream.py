"""The shell's ports, and what it does with padding."""

import re

import numpy as np
from flow_units import FromFirst, Mean, Total

from hdl import flow


def ports(text, top):
    return re.search(rf"^module {top}\((.*?)\);", text, re.MULTILINE)[1].split(", ")


def test_ports_in_conventional_order():
    assert ports(flow.rtl(Mean()).verilog(), "mean") == [
        "clk",
        "rst",
        "s_axis_tdata",
        "s_axis_tvalid",
        "s_axis_tready",
        "m_axis_tdata",
        "m_axis_tvalid",
        "m_axis_tready",
    ]


def test_rows_have_last_and_lanes_have_keep():
    design = flow.rtl(FromFirst(), lanes=3)
    names = ports(design.verilog(), "fromfirst")
    assert [n for n in names if n.endswith(("tlast", "tkeep"))] == [
        "s_axis_tlast",
        "s_axis_tkeep",
        "m_axis_tlast",
        "m_axis_tkeep",
    ]
    assert "output [5:0] m_axis_tkeep;" in design.verilog()
    assert "tkeep" not in flow.rtl(Total()).verilog()


def test_padding_of_inputs_is_ignored_and_outputs_are_extended():
    unit = Mean()
    model = flow.model(unit)
    a, b = (column.reshape(-1) for column in np.meshgrid(np.arange(-32, 32), np.arange(32)))
    beats = model.inputs.pack([a.astype(np.int8), b.astype(np.uint8)])
    raw = beats.view(np.uint8).reshape(-1, 2)
    noise = np.random.default_rng(0).integers(0, 256, raw.shape, dtype=np.uint8)
    raw ^= noise & np.array([0xC0, 0xE0], np.uint8)  # above six and five bits
    answers = model.drive(beats, a.size, a.size)
    assert answers.view(np.int8).tolist() == unit(a, b).tolist()  # the byte as it stands: sign-extended
