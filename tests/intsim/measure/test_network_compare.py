"""The comparison of schemes: figures of its cells, what is kept between runs, the page."""

import dataclasses
import html.parser
import json

import pytest
from small_bert import bert_folder, write_pairs

from intsim.measure.network import Data, compare, open_task, summarise, with_bits, write_comparison
from intsim.measure.network.comparison import representatives
from intsim.measure.network.markdown import main, page
from intsim.measure.network.report import picture_by_width
from intsim.schemes import SCHEMES

CHOSEN = [SCHEMES[name] for name in ("hawq", "ivit", "illm")]


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    return open_task(str(bert_folder(folder / "bert")), Data(pairs=write_pairs(folder / "pairs.tsv")))


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A cache of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTSIM_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def cells(task, kept):
    return compare(task, CHOSEN, ["w8a8", "w4a4"])


def test_a_cell_is_what_the_network_gives(task, cells):
    assert [(cell.scheme, cell.widths) for cell in cells] == [
        (scheme.name, widths) for scheme in CHOSEN for widths in ("w8a8", "w4a4")
    ]
    for cell in cells:
        network = task.design(with_bits(SCHEMES[cell.scheme], cell.widths))
        assert cell.figures == task.evaluate(network)
        assert cell.left_in_float == SCHEMES[cell.scheme].left_in_float
    loss = {(c.scheme, c.widths): c.figures["cosine"]["mean"] for c in cells}
    assert loss["illm", "w8a8"] > 0.99 > loss["illm", "w4a4"]


def test_the_units_are_the_networks_nonlinear_ones(task, cells):
    by_scheme = {cell.scheme: cell for cell in cells if cell.widths == "w8a8"}
    assert by_scheme["hawq"].units == {}
    assert {part: type(unit).__name__ for part, unit in by_scheme["ivit"].units.items()} == {
        "softmax": "Shiftmax",
        "activation": "ShiftGELU",
        "norm": "IViTLayerNorm",
    }
    assert {type(unit).__name__ for unit in by_scheme["illm"].units.values()} == {
        "DIClippedSoftmax",
        "DISwiGLU",
        "DINorm",
    }
    assert by_scheme["illm"].rows == {"softmax": 12, "activation": 32, "norm": 16}
    assert by_scheme["illm"].units["norm"].max_row == 16  # the memory that this network needs, not the default
    network = task.design(SCHEMES["ivit"])
    for part, (place, unit) in representatives(network).items():
        assert unit in network.units[place]
        assert dataclasses.replace(unit, max_row=by_scheme["ivit"].units[part].max_row) == by_scheme["ivit"].units[part]


def test_rows_are_those_that_the_units_take(kept):
    """Of a Llama under a scheme without RMSNorm and SwiGLU: a row and its mirror image, a softmax for each channel."""
    llama = open_task("stdlib-llama", Data(count=1))
    (cell,) = compare(llama, [SCHEMES["ivit"]], ["w8a8"])
    assert {part: type(unit).__name__ for part, unit in cell.units.items()} == {
        "softmax": "Shiftmax",
        "activation": "Shiftmax",
        "norm": "IViTLayerNorm",
    }
    assert cell.rows == {"softmax": llama.row, "activation": 2 * 432, "norm": 2 * 160}
    assert cell.units["activation"].max_row == 2
    assert cell.units["norm"].max_row == 2 * 160


def test_what_was_judged_is_not_judged_again(task, cells, kept, monkeypatch):
    def refuse(*_):
        raise AssertionError("judged again")

    monkeypatch.setattr(task, "evaluate", refuse)
    assert compare(task, CHOSEN, ["w8a8", "w4a4"]) == cells
    with pytest.raises(AssertionError, match="judged again"):
        compare(task, [SCHEMES["ivit"]], ["w6a6"])
    with pytest.raises(AssertionError, match="judged again"):
        compare(task, [SCHEMES["ivit"]], ["w8a8"], percentile=99)


def test_progress_is_told_network_by_network(task, cells, kept):
    begun = []
    compare(task, CHOSEN[:1], ["w8a8", "w4a4"], begin=begun.append)
    assert begun == ["hawq w8a8", "hawq w4a4"]


def figures(n):
    cells = {"comb": n, "ff": n, "dsp": 1, "bram": 0, "fmax": 100.0 + n}
    return {"unit": "X", **cells, "row": 8, "first": 20, "sustained": 9}


HARDWARE = {
    "ivit": {part: figures(n) for n, part in enumerate(("softmax", "activation", "norm"), 1)},
    "illm": {"softmax": {"unit": "Y", "row": 8, "refused": "fits no <device>"}},
}


def test_the_summary_adds_the_parts_and_takes_the_slowest(task, cells):
    found = summarise(task, cells, HARDWARE)
    by_name = {scheme["name"]: scheme for scheme in found["schemes"]}
    assert by_name["ivit"]["total"] == {"comb": 6, "ff": 6, "dsp": 3, "bram": 0, "fmax": 101.0, "parts": 3}
    assert by_name["illm"]["total"] is None
    assert by_name["hawq"]["hardware"] == {}
    assert (found["metric"], found["items"], found["widths"]) == ("mrr", {"pairs": 12}, ["w8a8", "w4a4"])
    assert found["float"] == cells[0].figures["float"]
    assert json.loads(json.dumps(found)) == found


class Links(html.parser.HTMLParser):
    """What a page would load, and its text."""

    def __init__(self):
        super().__init__()
        self.loaded, self.text, self.pictures = [], [], []

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("src", "href"):
                (self.pictures if value.startswith("data:image/svg+xml;base64,") else self.loaded).append(value)

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_shows_every_figure_and_loads_nothing(task, cells, tmp_path):
    summary = summarise(task, cells, HARDWARE, "intsim compare x")
    paths = write_comparison(tmp_path, summary)
    assert json.loads(paths["compare.json"].read_text()) == summary
    shown = Links()
    shown.feed(paths["compare.html"].read_text())
    text = " ".join(" ".join(shown.text).split())
    assert shown.loaded == []
    assert len(shown.pictures) == 2
    for cell in cells:
        assert f"{cell.figures['integer']['mrr']['mean']:.3f}" in text
        assert f"{cell.figures['integer']['top1']['low']:.3f}" in text
        assert f"{cell.figures['difference']['mrr']['mean']:+.3f}" in text
    for wanted in ("softmax, activation, norm in float", "fits no <device>", "intsim compare x", "12 pairs", "W4A4"):
        assert wanted in text, wanted
    without = write_comparison(tmp_path, summarise(task, cells, {}))
    shown = Links()
    shown.feed(without["compare.html"].read_text())
    assert len(shown.pictures) == 1
    assert "COMB" not in " ".join(shown.text)


def test_a_scheme_that_cannot_be_is_a_row_that_says_why(task, kept, tmp_path):
    without = SCHEMES["ivit"].replace(norm=None, name="normless")
    (cell,) = compare(task, [without], ["w8a8"])
    assert cell.figures is None
    assert "no norm" in cell.refused
    summary = summarise(task, [*compare(task, CHOSEN[:1], ["w8a8"]), cell], {})
    source = write_comparison(tmp_path, summary)["compare.html"].read_text()
    assert "refused" in source
    assert "normless has no norm" in source


def test_the_page_of_the_documentation_has_the_same_figures(task, cells, tmp_path):
    summary = summarise(task, cells, HARDWARE, "intsim compare x")
    text = page([summary, summary])
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 * (2 + 1 + 3 + 2 + 4)
    ivit = next(cell for cell in cells if (cell.scheme, cell.widths) == ("ivit", "w4a4")).figures
    mean, lost = ivit["integer"]["mrr"], ivit["difference"]["mrr"]["mean"]
    (row,) = {tuple(row) for row in rows if row[0] == "ivit" and len(row) == 8}
    assert row[2] == f"{mean['mean']:.3f} in {mean['low']:.3f} .. {mean['high']:.3f} ({lost:+.3f})"
    assert row[3:] == ("6", "6", "3", "0", "101")
    assert "```sh\nintsim compare x\n```" in text
    assert "hawq (softmax, activation, norm in float)" in text
    plain = page([summarise(task, cells, {})])
    assert "COMB" not in plain
    assert "hawq (softmax, activation, norm in float)" in plain


def test_the_page_comes_with_its_pictures(task, cells, tmp_path, monkeypatch):
    summary = summarise(task, cells, HARDWARE) | {"model": "somewhere/small"}
    (tmp_path / "docs" / "reference").mkdir(parents=True)
    (tmp_path / "docs" / "pictures").mkdir()
    (tmp_path / "compare.json").write_text(json.dumps(summary))
    output = tmp_path / "docs" / "reference" / "networks.md"
    monkeypatch.setattr("sys.argv", ["markdown", str(tmp_path / "compare.json"), "-o", str(output)])
    main()
    assert output.read_text() == page([summary])
    assert "(../pictures/networks-small.svg)" in output.read_text()
    assert (tmp_path / "docs" / "pictures" / "networks-small.svg").read_bytes() == picture_by_width(summary)
