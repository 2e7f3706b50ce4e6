"""`intsim eval` and `intsim compare` on a user's own folder and own pairs."""

import json
import shlex

import numpy as np
import pytest
from command_line import intsim, refuses
from small_bert import bert_folder, write_pairs

from intsim.measure.network import Data, open_task, read_vectors, with_bits
from intsim.schemes import SCHEMES, Step


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("network")
    bert_folder(folder / "bert")
    write_pairs(folder / "pairs.tsv")
    return folder


@pytest.fixture(autouse=True)
def kept(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("INTSIM_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))


def run_eval(place, *options):
    return intsim("eval", place / "bert", "--pairs", place / "pairs.tsv", *options)


def test_eval_gives_the_figures_of_the_task(place):
    task = open_task(str(place / "bert"), Data(pairs=place / "pairs.tsv"))
    wanted = task.evaluate(task.design(with_bits(SCHEMES["ivit"], "w6a8", scores=12)))
    got = run_eval(place, "--scheme", "ivit", "--bits", "w6a8", "--set", "scores=12", "--json").json
    assert {key: got[key] for key in wanted} == wanted
    assert (got["scheme"], got["bits"]) == ("ivit", "w6a8")
    text = run_eval(place, "--scheme", "ivit", "--bits", "w6a8", "--set", "scores=12").out
    assert f"{wanted['integer']['mrr']['mean']:.4f}" in text
    assert f"{wanted['difference']['top1']['low']:.4f}" in text


def test_eval_takes_a_rule_for_ranges_and_smoothing(place):
    task = open_task(str(place / "bert"), Data(pairs=place / "pairs.tsv"))
    scheme = SCHEMES["ivit"].replace(range="mse", steps=(Step.of("smooth", strength="17/20"),))
    wanted = task.evaluate(task.design(with_bits(scheme, "w8a4")))
    got = run_eval(place, "--scheme", "ivit", "--bits", "w8a4", "--range", "mse", "--smooth", "17/20", "--json").json
    assert {key: got[key] for key in wanted} == wanted
    plain = run_eval(place, "--scheme", "ivit", "--bits", "w8a4", "--json").json
    assert plain["cosine"] != got["cosine"]
    refused = run_eval(place, "--scheme", "ivit", "--range", "widest")
    assert refused.code == 2
    assert "known: minmax, mse, percentile" in refused.err


def test_eval_per_layer_names_every_place(place):
    shown = run_eval(place, "--scheme", "illm", "--per-layer")
    got = run_eval(place, "--scheme", "illm", "--per-layer", "--json").json["places"]
    for name in got:
        assert f"\n{name} " in shown.out
    assert {"dB", "worst", "token", "alone", "clipped"} <= set(shown.out.split())


def test_eval_writes_the_picture_and_the_figures(place, tmp_path):
    assert run_eval(place, "--scheme", "ibert", "-o", tmp_path / "out").code == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["eval.json", "places.svg"]
    body = json.loads((tmp_path / "out" / "eval.json").read_text())
    assert {"places", "float", "integer", "difference", "cosine"} <= set(body)
    assert (tmp_path / "out" / "places.svg").read_text().rstrip().endswith("</svg>")


def test_eval_writes_vectors(place, tmp_path):
    assert run_eval(place, "--scheme", "ivit", "--vectors", tmp_path / "vectors").code == 0
    found = read_vectors(tmp_path / "vectors")
    sums = next(layer for layer in found.manifest["layers"] if layer["place"] == "1.sum2")
    inputs = [found.tensor(name).data for name in sums["inputs"]]
    assert np.array_equal(found.units("1.sum2")[0](*inputs), found.tensor("1.sum2").data)


def test_a_scheme_from_a_file(place, tmp_path):
    SCHEMES["ivit"].save(tmp_path / "mine.toml")
    mine = run_eval(place, "--scheme", tmp_path / "mine.toml", "--json").json
    assert mine == run_eval(place, "--scheme", "ivit", "--json").json


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--scheme", "ivitt"), "ivit"),
        (("--bits", "8"), "w8a8"),
        (("--set", "score=8"), "scores"),
        (("--set", "scores=wide"), "scores=16"),
        (("--count", "1"), "at least two"),
        (("--percentile", "10"), "(50, 100]"),
        (("--percentile", "99", "--range", "mse"), "leave one out"),
        (("--smooth", "2"), "[0, 1]"),
        (("--text", "x"), "--pairs"),
    ],
)
def test_eval_refuses(place, tmp_path, options, says):
    assert says in refuses(tmp_path, "eval", place / "bert", "--pairs", place / "pairs.tsv", *options)


def test_compare_puts_schemes_and_widths_side_by_side(place, tmp_path):
    words = ["compare", place / "bert", "--widths", "w8a8,W4A4", "--schemes", "hawq,ivit"]
    words += ["--pairs", place / "pairs.tsv", "--seed", "0", "--no-hardware"]
    found = intsim(*words, "-o", tmp_path, "--json")
    assert found.code == 0
    assert json.loads((tmp_path / "compare.json").read_text()) == found.json
    assert (tmp_path / "compare.html").read_text().count("<tr") > 8
    assert found.json["widths"] == ["w8a8", "w4a4"]
    alone = run_eval(place, "--scheme", "ivit", "--bits", "w4a4", "--json").json
    ivit = next(scheme for scheme in found.json["schemes"] if scheme["name"] == "ivit")
    assert ivit["cells"]["w4a4"]["figures"]["integer"] == alone["integer"]
    assert shlex.split(found.json["command"]) == ["intsim", *map(str, words)]
    text = intsim(*words).out
    assert f"{alone['integer']['mrr']['mean']:.4f}" in text
    assert "float32" in text


def test_compare_takes_what_eval_takes(place, tmp_path):
    words = ("--range", "mse", "--smooth", "17/20")
    alone = run_eval(place, "--scheme", "ivit", "--bits", "w8a4", *words, "--json").json
    chosen = ("--schemes", "ivit,illm", "--widths", "w8a4", "--no-hardware", "--json")
    found = intsim("compare", place / "bert", "--pairs", place / "pairs.tsv", *words, *chosen).json
    ivit, illm = (scheme["cells"]["w8a4"] for scheme in found["schemes"])
    assert ivit["figures"]["integer"] == alone["integer"]
    assert illm["figures"] is None  # scales per token leave no place for one per channel
    assert "leave steps out" in illm["refused"]
    assert "--range mse --smooth 17/20" in found["command"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--schemes", "ivit,none"), "none"),
        (("--schemes", ""), "at least one scheme"),
        (("--widths", "w8a8,x"), "w8a8"),
        (("--widths", ","), "at least one scheme"),
    ],
)
def test_compare_refuses(place, tmp_path, options, says):
    assert says in refuses(
        tmp_path, "compare", place / "bert", "--pairs", place / "pairs.tsv", "--no-hardware", *options
    )
