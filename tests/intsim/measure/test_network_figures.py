"""Widths, pairs, intervals and tasks: what `intsim eval` and `intsim compare` stand on."""

import json

import numpy as np
import pytest
from small_bert import PAIRS, bert_folder, write_pairs

from intsim.errors import IntsimError
from intsim.measure.network import Data, difference, interval, open_task, retrieval, with_bits, with_interval
from intsim.measure.network.retrieval import evaluate, read_pairs
from intsim.schemes import SCHEMES


def test_widths_go_where_they_are_named():
    found = with_bits(SCHEMES["ibert"], "W4A6", scores=12)
    assert (found.bits.weight, found.bits.activation, found.bits.scores) == (4, 6, 12)
    assert found.weight_limits == (-7, 7)
    assert (found.bits.residual, found.bits.gelu) == (22, 16)
    assert with_bits(SCHEMES["ibert"], "w8a8") == SCHEMES["ibert"]
    assert with_bits(SCHEMES["illm"], "w6a6").bits.activation == 6


@pytest.mark.parametrize(
    ("text", "positions", "match"),
    [
        ("8x8", {}, "written like w8a8"),
        ("w8", {}, "written like w8a8"),
        ("w1a8", {}, r"weight must be a width in \[2, 32\]"),
        ("w8a8", {"scors": 8}, "scores"),
        ("w8a8", {"scores": 40}, r"\[2, 32\]"),
    ],
)
def test_widths_that_cannot_be_are_refused(text, positions, match):
    with pytest.raises(IntsimError, match=match):
        with_bits(SCHEMES["ivit"], text, **positions)


def test_the_interval_of_a_mean_covers_it_as_often_as_it_says():
    """Means of 400 samples of a known distribution: about 95 of 100 intervals hold the true mean."""
    rng = np.random.default_rng(1)
    inside = 0
    for seed in range(300):
        low, high = interval(rng.exponential(size=400), seed)
        inside += low <= 1 <= high
    assert 0.91 <= inside / 300 <= 0.98


def test_a_paired_difference_is_surer_than_two_means():
    rng = np.random.default_rng(2)
    hard = rng.normal(size=500)
    a, b = hard + 0.1 + 0.05 * rng.normal(size=500), hard
    pair, one = difference(a, b), with_interval(a)
    assert pair["low"] < 0.1 < pair["high"]
    assert pair["high"] - pair["low"] < 0.1 * (one["high"] - one["low"])
    assert pair["mean"] == pytest.approx(a.mean() - b.mean())
    assert difference(a, b, seed=3) == difference(a, b, seed=3) != difference(a, b, seed=4)


def test_retrieval_by_hand():
    """Three pairs in the plane: the first two find their targets first, the third finds both others before."""

    def at(degrees):
        return [np.cos(np.radians(degrees)), np.sin(np.radians(degrees))]

    real = np.array([at(0), at(5), at(90), at(95), at(45), at(180)])
    tied = np.array([at(0), at(5), at(90), at(95), at(10), at(5)])  # the third's target ties with the first's
    found = evaluate(real, real)
    assert found["float"]["top1"]["mean"] == pytest.approx(2 / 3)
    assert found["float"]["mrr"]["mean"] == pytest.approx((1 + 1 + 1 / 3) / 3)
    assert found["difference"]["mrr"] == {"mean": 0, "low": 0, "high": 0}
    assert found["cosine"]["mean"] == pytest.approx(1)
    worse = evaluate(real, tied)["integer"]
    assert worse["top1"]["mean"] == pytest.approx(1 / 3)  # a tie counts against the network
    assert worse["mrr"]["mean"] == pytest.approx((1 / 2 + 1 + 1 / 2) / 3)


def test_pairs_in_three_forms(tmp_path):
    wanted = [("a file", "the name of it"), ('say "no"', "tab\\slash"), ("third", "one")]
    tabs, lists, objects = (tmp_path / name for name in ("a.tsv", "b.jsonl", "c.jsonl"))
    tabs.write_text("".join(f"{q}\t{t}\n" for q, t in wanted) + "\n")
    lists.write_text("".join(json.dumps(pair) + "\n" for pair in wanted))
    objects.write_text("".join(json.dumps({"target": t, "query": q}) + "\n" for q, t in wanted))
    for path in (tabs, lists, objects):
        assert read_pairs(path) == wanted


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("a\tb\nno tab here\n", r":2: expected QUERY"),
        ("a\tb\tc\nd\te\n", r":1: expected QUERY"),
        ('["a"]\n', r":1: expected QUERY"),
        ('{"query": "a"}\n', r":1: expected QUERY"),
        ('["a", 3]\n', r":1: expected QUERY"),
        ("[1, 2\n", r":1: expected QUERY"),
        ("a\t \n", r":1: expected QUERY"),
        ("a\tb\n", "at least two"),
        ("", "at least two"),
    ],
)
def test_pairs_that_are_none_are_refused(tmp_path, content, match):
    (tmp_path / "pairs").write_text(content)
    with pytest.raises(IntsimError, match=match):
        read_pairs(tmp_path / "pairs")
    with pytest.raises(IntsimError, match="cannot read"):
        read_pairs(tmp_path / "nowhere")


def test_own_pairs_judge_and_others_calibrate(tmp_path):
    folder, pairs = bert_folder(tmp_path / "bert"), write_pairs(tmp_path / "pairs.tsv")
    task = open_task(str(folder), Data(pairs=pairs))
    judged = set(task._texts)
    assert len(task._texts) == 2 * 12
    assert judged < {text for pair in PAIRS for text in pair}
    assert sum(len(batch) for batch in task.samples) == 2 * 4
    assert task.row == 12  # positions that the model has
    network = task.design(SCHEMES["illm"])
    figures = task.evaluate(network)
    assert figures["pairs"] == 12
    assert figures["cosine"]["mean"] > 0.99
    assert figures == task.evaluate(network)


def test_the_fingerprint_follows_weights_and_data(tmp_path):
    folder, pairs = bert_folder(tmp_path / "bert"), write_pairs(tmp_path / "pairs.tsv")
    first = open_task(str(folder), Data(pairs=pairs)).fingerprint()
    assert open_task(str(folder), Data(pairs=pairs)).fingerprint() == first
    assert open_task(str(folder), Data(pairs=pairs, seed=1)).fingerprint() != first
    assert open_task(str(folder), Data(pairs=pairs, count=8)).fingerprint() != first
    bert_folder(tmp_path / "bert", seed=1)
    assert open_task(str(folder), Data(pairs=pairs)).fingerprint() != first


def test_what_a_task_does_not_take_is_refused(tmp_path):
    folder, pairs = bert_folder(tmp_path / "bert"), write_pairs(tmp_path / "pairs.tsv")
    with pytest.raises(IntsimError, match="judged on --pairs, not on --text"):
        open_task(str(folder), Data(text=pairs))
    with pytest.raises(IntsimError, match="at least two pairs, got 1"):
        open_task(str(folder), Data(pairs=pairs, count=1))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "bertt"}))
    with pytest.raises(IntsimError, match="bert"):
        open_task(str(folder), Data(pairs=pairs))
    with pytest.raises(IntsimError, match=r"config\.json"):
        open_task(str(tmp_path / "nowhere"))


def test_the_standard_library_gives_thousands_of_pairs_and_others_to_calibrate():
    judged, own = retrieval.pairs(10**6), retrieval.pairs(10**6, held_out=False)
    queries = [query for query, _ in judged]
    assert len(set(queries)) == len(queries) >= 2000
    assert len(own) == retrieval.CALIBRATION
    assert not {query for query, _ in own} & set(queries)
    assert retrieval.pairs(100) == judged[:100]
    assert retrieval.pairs(100, seed=1) != judged[:100]
