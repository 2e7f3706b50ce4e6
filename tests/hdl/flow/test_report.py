"""The report's figures are measured, and its page shows them: light, dark, good and bad."""

import copy
import html.parser
import json
import re

import numpy as np
import pytest

import hdl
from hdl.flow import page, report
from intsim import Fixed, measure
from intsim.measure.page import number
from intsim.tables import NLI


@pytest.fixture(scope="module")
def unit() -> NLI:
    return NLI.design("silu", Fixed(7, 4), Fixed(7, 4), intervals=4, bins=2)


VALUES = np.array([-9.0, -1.03, 0.0, 0.51, 3.9, 4.5])


@pytest.fixture(scope="module")
def figures(unit) -> dict:
    begun = []
    sample = report.Sample("six numbers", VALUES)
    made = report.gather(unit, seeds=(1, 2), samples=[sample], begin=begun.append, stages=4)
    assert len(begun) == report.STEPS
    return made


def test_figures_are_plain_and_complete(unit, figures):
    assert json.loads(json.dumps(figures))["unit"] == figures["unit"]  # plain: nothing changes on the way
    assert set(figures) == {
        "unit",
        "options",
        "error",
        "samples",
        "timing",
        "verification",
        "synthesis",
        "placement",
        "verilog_sha256",
        "versions",
    }
    assert figures["unit"]["sha256"] == figures["verification"]["sha256"] == unit.sha256
    assert figures["unit"]["equation"].startswith("xc    = min(max(x, cuts[0]), cuts[M])")
    assert figures["unit"]["parameters"]["table"] == list(unit.table)
    assert figures["error"] == measure.error(unit).as_dict()
    assert (figures["verification"]["inputs"], figures["verification"]["equal"]) == (128, 128)
    component = hdl.create(unit, stages=4)
    assert figures["timing"] == {"latency": component.latency, "interval": component.interval}
    assert list(figures["placement"]["fmax_by_seed"]) == ["1", "2"]
    assert figures["synthesis"]["nand2"]["area"] > figures["synthesis"]["nand2"]["area_ff"] > 0
    assert figures["options"] == {"stages": 4}


def test_errors_on_real_values_are_those_of_the_definition(unit, figures):
    (sample,) = figures["samples"]
    codes = np.clip(np.rint(VALUES * 16), -64, 63).astype(np.int8)
    real = VALUES / (1 + np.exp(-VALUES))
    total = np.abs(unit(codes) / 16 - real)
    assert sample["values"] == 6
    assert (sample["least"], sample["largest"]) == (-9.0, 4.5)
    assert sample["outside_format"] == pytest.approx(2 / 6)  # -9 and 4.5 leave -4 ... 3.9375
    assert sample["with_encoding"]["mean"] == pytest.approx(total.mean())
    assert sample["with_encoding"]["max"] == pytest.approx(total.max())
    at_codes = np.abs(unit(codes) / 16 - (codes / 16) / (1 + np.exp(-codes / 16)))
    assert sample["unit"]["max"] == pytest.approx(at_codes.max())
    assert sum(sample["histogram"]["counts"]) == 6


def test_the_summary_holds_the_figures_that_decide(figures):
    short = report.summary(figures)
    assert short["inputs equal"] == "128 of 128"
    assert short["Fmax (MHz)"] == figures["placement"]["fmax_mhz"]
    assert short["max error (LSB)"] == figures["error"]["max_lsb"]


class Wellformed(html.parser.HTMLParser):
    """Every element closed in order; text collected."""

    VOID = frozenset({"meta", "img", "br", "path", "line", "circle", "link"})

    def __init__(self):
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag, self.getpos()

    def handle_data(self, data):
        self.text.append(data)


def shown(text: str) -> str:
    parser = Wellformed()
    parser.feed(text)
    parser.close()
    assert parser.open == []
    return " ".join(" ".join(parser.text).split())


def test_the_page_is_whole_loads_nothing_and_shows_the_figures(unit, figures, tmp_path):
    paths = report.write(tmp_path, [unit], [figures], name="unit", title="nli_silu")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["unit.html", "unit.json"]
    stored = json.loads(paths["figures"].read_text())
    assert stored["unit"]["sha256"] == unit.sha256
    source = paths["page"].read_text()
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", source)
    assert "@import" not in source
    assert "prefers-color-scheme: dark" in source
    text = shown(source)
    for part in (
        "RTL = golden model on all 128 inputs",
        "every one of the 128 inputs there are",
        unit.sha256,
        figures["verilog_sha256"],
        "six numbers",
        "33.3 % lie outside the input format and saturate",
        f"{figures['placement']['fmax_mhz']:.4g} MHz",
        "speed grade 6, median of 2",
        f"yosys {figures['versions']['yosys']}",
        "stages=4",
        "Critical path",
    ):
        assert part in text.replace(" ,", ","), part


def test_a_difference_is_shown_as_one(unit, figures):
    bad = copy.deepcopy(figures)
    trace = {"x": 3, "index": 1}
    bad["verification"].update(
        equal=126, mismatches=2, first=[{"inputs": {"x": 3}, "expected": {"y": 5}, "got": {"y": 6}, "trace": trace}]
    )
    bad["unit"]["hazards"] = [{"what": "the sum needs 9 bits, has 8", "remedy": "use acc_bits=9"}]
    text = shown(page.render([bad], [""], [report.summary(bad)], title="t"))
    assert "RTL differs from the golden model on 2 of 128 inputs" in text
    assert "RTL = golden model" not in text
    assert "the sum needs 9 bits, has 8; use acc_bits=9" in text
    assert "{'y': 6}" in text


def test_several_units_are_compared_on_top(figures):
    other = copy.deepcopy(figures)
    other["unit"]["name"], other["error"], other["samples"] = "other", None, []
    text = shown(page.render([figures, other], ["", ""], [report.summary(figures)] * 2, title="t", introduction="why"))
    assert "At a glance" in text
    assert "why" in text
    assert text.count("RTL = golden model on all 128 inputs") == 2


def test_text_is_escaped(figures):
    sly = copy.deepcopy(figures)
    sly["samples"][0]["name"] = "<script>alert(1)</script>"
    source = page.render([sly], [""], [report.summary(sly)], title="<b>")
    assert "<script>" not in source
    assert "<b>t" not in source


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (True, "yes"),
        (65536, "65\u202f536"),
        (-8, "-8"),
        (0.000734, "0.000734"),
        (7.42e-5, "7.42·10⁻⁵"),
        ("x", "x"),
    ],
)
def test_numbers_are_written_for_readers(value, text):
    assert number(value) == text
