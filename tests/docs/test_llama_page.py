"""The page on Llama: its code runs in its order, and its command on a folder and a text of one's own."""

import re
import shlex
import shutil
from pathlib import Path

from command_line import intsim

from intsim.models.real import folder

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "llama.md"


def test_everything_on_the_page_runs_in_its_order(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    own = folder.find("stdlib-llama")
    shutil.copytree(own, tmp_path / "my-llama", ignore=shutil.ignore_patterns("*.txt"))
    (tmp_path / "mine.txt").write_text(folder.text(own, "calibration.txt")[:6000], encoding="utf-8")
    text, names = PAGE.read_text(encoding="utf-8"), {}
    for block in re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S):
        exec(compile(block, PAGE.name, "exec"), names)
    assert capsys.readouterr().out == "(1, 4, 2048) uint8 True\n"
    assert [step.name for step in names["network"].scheme.steps] == ["smooth"]
    (line,) = (line for line in text.splitlines() if line.startswith("intsim eval my-llama"))
    done = intsim(*shlex.split(line)[1:])
    assert done.code == 0, done.err
    assert "3.down" in done.out
    assert "final norm, head; made of integers here" in done.err
