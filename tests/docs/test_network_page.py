"""The page on judging a network: its commands run one after the other, and so does its code."""

import re
import shlex
from pathlib import Path

from command_line import intsim
from small_bert import bert_folder, write_pairs

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "judge-a-network.md"


def test_everything_on_the_page_runs_in_its_order(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTSIM_CACHE_DIR", str(tmp_path / "cache"))
    bert_folder(tmp_path / "my-bert")
    write_pairs(tmp_path / "pairs.tsv")
    names: dict = {}
    commands = 0
    for language, block in re.findall(r"^```(sh|python)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S):
        if language == "python":
            exec(compile(block, PAGE.name, "exec"), names)
            continue
        for line in block.splitlines():
            done = intsim(*shlex.split(line)[1:])
            assert done.code == 0, (line, done.err)
            commands += 1
    assert commands == 8
    alone, place = names["worst"]
    assert alone < 30
    assert place in names["places"]
    assert capsys.readouterr().out.splitlines()[-1] == "['0.proj', 'embedded'] s16"
    assert (tmp_path / "lost" / "places.svg").is_file()
    assert (tmp_path / "comparison" / "compare.html").is_file()
