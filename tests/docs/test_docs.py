"""The documentation builds without a warning, its tables are current, and its examples run."""

import re
import shlex
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from command_line import intsim

from intsim.cli.app import VERBS

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs"))
import regenerate  # noqa: E402

sys.path.pop(0)
PAGES = list(regenerate.pages())


def test_the_documentation_builds_without_a_warning(tmp_path):
    words = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", ROOT / "docs", tmp_path / "html"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "html" / "index.html").is_file()
    contract = (tmp_path / "html" / "contract" / "rounding.html").read_text()
    assert "TIES_TO_EVEN" in contract


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_tables_made_by_code_are_current(page):
    text = page.read_text(encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        assert regenerate.regenerated(text) == text, "run python docs/regenerate.py"


def test_there_are_tables_made_by_code():
    made = [block[2] for page in PAGES for block in regenerate.BLOCK.finditer(page.read_text(encoding="utf-8"))]
    assert {"intsim.rounding_names", "intsim.cli.reference", "intsim.measure.overview"} <= set(made)


def blocks(language: str) -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        for block in re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S):
            found.append((str(page.relative_to(ROOT)), block))
    return found


def test_every_command_shown_exists():
    """Each `intsim VERB` in a page is a verb, with options that its help lists."""
    count = 0
    for page, block in blocks("sh"):
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] != ["intsim"] or words[1].startswith("-"):
                continue
            assert words[1] in VERBS, f"{page}: {line}"
            listed = intsim(words[1], "--help").out
            for option in (word for word in words[2:] if re.match(r"--?[a-z]", word)):
                assert option in listed, f"{page}: {line}"
            count += 1
    assert count > 10


def test_pages_do_not_point_to_files_that_are_not_there():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https?:|#)([\w./-]+?)(?:#[\w-]+)?\)", text):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_example_of_a_users_own_unit_works(tmp_path):
    (page,) = (p for p in PAGES if p.name == "write-your-own-unit.md")
    code = re.search(r"```python\n# clip.py\n(.*?)```", page.read_text(), re.S)[1]
    (tmp_path / "clip.py").write_text(code)
    shown = intsim("show", f"{tmp_path}/clip.py:unit", "--json").json
    assert shown["unit"]["unit"] == {"type": "Clip", "multiplier": 3, "shift": 6}
    got = intsim("run", f"{tmp_path}/clip.py:unit", "1000,-1000,32,-32,96", "--json")
    assert got.json == {"y": [47, -47, 2, -2, 4]}  # 46.875, 1.5 and 4.5 rounded ties-to-even


@pytest.mark.parametrize("name", ["start.md", "index.md"])
def test_the_python_examples_of_the_first_minutes_run(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    codes = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs" / name).read_text(), re.M | re.S)
    assert codes
    for code in codes:
        exec(compile(code, name, "exec"), {})
