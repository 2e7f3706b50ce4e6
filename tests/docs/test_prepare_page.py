"""The page on preparing a network: its code runs, and its commands do what it says."""

import re
from pathlib import Path

from command_line import intsim

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "prepare-a-network.md"


def test_the_code_of_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    assert len(blocks) == 7
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), names)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "(32,)"
    assert printed[-1] == "(8, 4, 8)"  # 1000 + 2000 + 2000 bytes: the limit exactly
    assert (tmp_path / "mine.toml").is_file()
    assert 'unit = "Shiftmax"' in intsim("scheme", tmp_path / "mine.toml").out
