"""The how-to pages about RTL of one's own, done as they say: files written, commands run, output as shown."""

import json
import re
import subprocess
from pathlib import Path

from hdl.flow import tools

PAGES = Path(__file__).resolve().parents[3] / "docs" / "howto"


def write_files(text, folder):
    """Blocks whose first line is a comment with a file's name."""
    names = []
    for block in re.findall(r"^```\w+\n(.*?)^```$", text, re.M | re.S):
        named = re.match(r"(?:#|//) ([\w./]+\.\w+)\n", block)
        if named:
            (folder / named[1]).parent.mkdir(exist_ok=True)
            (folder / named[1]).write_text(block)
            names.append(named[1])
    return names


def run_commands(text, folder):
    """Every shell line, with the exit code it states (0 unless it says so); all that was printed, spaces as one."""
    said = ""
    for block in re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S):
        for line in block.splitlines():
            command, _, remark = line.partition("  # exits ")
            done = subprocess.run(
                ["sh", "-c", command], cwd=folder, env=tools.environment(), capture_output=True, text=True, check=False
            )
            assert done.returncode == int(remark or 0), f"{line}\n{done.stdout}{done.stderr}"
            said += done.stdout
    return [" ".join(line.split()) for line in said.splitlines()]


def shown(text):
    """The lines of every block of output."""
    blocks = re.findall(r"^```text\n(.*?)^```$", text, re.M | re.S)
    return [" ".join(line.split()) for block in blocks for line in block.splitlines()]


def test_a_sigmoid_written_by_hand(tmp_path):
    """The sign error is found, explained by the numbers on the page, and gone after the change the page makes."""
    text = (PAGES / "verify-your-own-rtl.md").read_text().split("## A sigmoid", 1)[1]
    assert write_files(text, tmp_path) == ["plan_sigmoid.py", "plan_sigmoid.sv", "ports.toml"]
    said = run_commands(text, tmp_path)
    for line in shown(text):
        assert line in said
    picture = (tmp_path / "plansigmoid-mismatch" / "plansigmoid.svg").read_text()
    assert ">0xfff<" in picture  # as the page says: not negated
    assert (tmp_path / "plansigmoid-mismatch" / "plansigmoid.vcd").is_file()
    assert (tmp_path / "vectors" / "plansigmoid_tb.sv").is_file()


def test_the_same_sigmoid_in_a_cocotb_test_of_ones_own(tmp_path):
    """Red with the sign error, by exit code and by pytest; green without."""
    write_files((PAGES / "verify-your-own-rtl.md").read_text(), tmp_path)
    text = (PAGES / "your-own-cocotb-test.md").read_text()
    assert write_files(text, tmp_path) == ["tb_sigmoid.py", "test_sigmoid.py", "sources.py"]
    said = run_commands(text, tmp_path)
    for line in shown(text):
        assert line in said
    assert "module plan_sigmoid_adapter" in (tmp_path / "sim" / "plan_sigmoid_adapter.sv").read_text()


def test_the_emitted_verilog_in_a_simulator(tmp_path):
    """Simulated, instantiated and under lint; the engine programmed by a testbench gives the golden model's row."""
    text = (PAGES / "use-the-verilog.md").read_text()
    assert write_files(text, tmp_path) == ["rtl/top.v", "engine.py", "engine_tb.sv"]
    said = run_commands(text, tmp_path)
    for line in shown(text):
        assert line in said
    assert said.count("0f32 072a 612e 0875") == 2
    assert "%Warning" not in (tmp_path / "log").read_text()


def test_the_port_map_shown_has_every_key():
    from hdl.flow import portmap

    text = (PAGES / "verify-your-own-rtl.md").read_text()
    block = re.search(r"^## The port map.*?^```toml\n(.*?)^```$", text, re.M | re.S)[1]
    for section, keys in portmap._SECTIONS.items():
        for key in (f"[{section}]", *keys):
            assert key in block
    for interface in portmap.INTERFACES:
        assert f'"{interface}"' in block


def test_the_golden_model_in_c(tmp_path):
    text = (PAGES / "golden-model-in-c.md").read_text()
    (tmp_path / "bench").mkdir()
    assert write_files(text, tmp_path) == ["bench/dpi_tb.sv"]
    said = run_commands(text, tmp_path)
    assert shown(text)
    for line in shown(text):
        assert line in said


def test_exploring_a_design(tmp_path, monkeypatch, capsys):
    """Every command of the page prints what the page shows, and so does its Python."""
    text = (PAGES / "explore-a-design.md").read_text()
    said = run_commands(text, tmp_path)
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    exec(compile(code, "explore-a-design.md", "exec"), {})
    said += capsys.readouterr().out.splitlines()
    assert len(shown(text)) == 5 + 4 + 5 + 3
    for line in shown(text):
        assert line in said
    assert "<!-- silu: 4 points, 2 on the front -->" in (tmp_path / "silu.svg").read_text()
    figures = re.findall(r"^\| (`.*?) \|", text, re.M)
    named = {name for cell in figures for name in re.findall(r"`(\w+)`", cell)}
    point = json.loads((tmp_path / "silu" / "sweep.json").read_text())["points"][0]
    assert named == set(point["figures"])
