"""Emitted Verilog: the same bytes everywhere, readable names, nothing of the machine in it."""

import os
import re
import subprocess
import sys

import flow_units
import pytest
from flow_units import FromFirst, Mean, Total

from hdl import create, flow
from hdl.flow import tools
from intsim.errors import IntsimError


@pytest.mark.parametrize("unit", [Mean(), FromFirst(), Total()], ids=lambda u: u.name)
def test_no_path_no_escape_no_tool_names(unit):
    text = flow.rtl(unit).verilog()
    assert not re.search(r"/(work|home|root|usr|tmp)/|\.py", text)
    assert "\\" not in text
    assert "$auto" not in text
    assert "Yosys" not in text


def test_header_says_what_it_is_and_whose():
    text = flow.rtl(Mean()).verilog()
    assert Mean().sha256 in text
    assert "inputs  a s6, b u5" in text
    assert "claim no licence on emitted RTL" in text


def test_another_process_writes_the_same_bytes(tmp_path):
    program = "import sys; from flow_units import FromFirst; from hdl import flow;"
    program += "sys.stdout.write(flow.rtl(FromFirst(), lanes=3).verilog())"
    environment = {
        **os.environ,
        "INTSIM_CACHE_DIR": str(tmp_path),  # nothing kept from before
        "PYTHONPATH": os.path.dirname(flow_units.__file__),
        "PYTHONHASHSEED": "7",
    }
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == flow.rtl(FromFirst(), lanes=3).verilog()


def test_signal_names_are_the_sources():
    text = flow.rtl(Total()).verilog()
    assert re.search(r"reg signed \[18:0\] acc = ", text)


def test_verilog_2005():
    """Verilator reads it with the language set to Verilog-2005."""
    with tools.work_folder() as folder:
        (folder / "total.v").write_text(flow.rtl(Total()).verilog())
        tools.verilator(["--lint-only", "-Wno-fatal", "--language", "1364-2005", "total.v"], folder)


def test_top_module_can_be_named():
    text = flow.rtl(Mean(), top="average_2").verilog()
    assert "module average_2(" in text
    with pytest.raises(IntsimError, match="no name of a Verilog module"):
        flow.rtl(Mean(), top="2nd")


def test_component_instead_of_unit():
    component = create(Mean())
    with pytest.raises(IntsimError, match="belong to the unit"):
        flow.rtl(component, lanes=2)
    assert flow.rtl(component).verilog() == flow.rtl(Mean()).verilog()


def test_unknown_option():
    with pytest.raises(IntsimError, match="stages"):
        flow.rtl(Mean(), stages=3)
