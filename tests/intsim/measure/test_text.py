"""Perplexity: its protocol on a model whose answer is known, its intervals, the carried Llama, a text of one's own."""

import itertools
import math

import numpy as np
import pytest

from intsim.errors import IntsimError
from intsim.measure.network import Data, open_task, with_bits
from intsim.measure.network.text import evaluate, losses_of, windows
from intsim.models import IntegerLlama
from intsim.models.real import folder
from intsim.prepare import fsbr
from intsim.prepare.llama import smoothed, with_outliers
from intsim.schemes import illm, ivit

PLACE = folder.find("stdlib-llama")
TOKENIZER = folder.tokenizer(PLACE)


def test_windows_are_consecutive_and_every_docstring_begins_with_its_token():
    text = folder.text(PLACE, "held_out.txt")
    tokens = TOKENIZER.encode(text).ids
    found = windows(TOKENIZER, text, 128)
    assert np.array_equal(found.reshape(-1), tokens[: found.size])
    assert len(found) == 165
    assert tokens.count(0) == text.count("<s>") > 300
    with pytest.raises(IntsimError, match="more text"):
        windows(TOKENIZER, "Too short.", 128)


def test_losses_are_those_of_the_tokens_behind_the_first():
    tokens = np.random.default_rng(0).integers(0, 5, (19, 6))
    odds = np.random.default_rng(1).normal(0, 1, (5, 5))

    def logits(part):  # what follows a token depends on it alone
        return odds[part] + 7.0

    chance = np.exp(odds) / np.exp(odds).sum(axis=-1, keepdims=True)
    by_hand = [-np.mean([math.log(chance[a, b]) for a, b in itertools.pairwise(w)]) for w in tokens]
    seen = []
    np.testing.assert_allclose(losses_of(logits, tokens, lambda *done: seen.append(done)), by_hand)
    assert seen[-1] == (19, 19)


def test_perplexity_of_equal_odds_is_the_number_of_tokens():
    losses = losses_of(lambda part: np.zeros((*part.shape, 50)), np.zeros((4, 9), dtype=int))
    found = evaluate(losses, losses + math.log(2), 9)
    assert found["float"]["perplexity"] == pytest.approx({"mean": 50, "low": 50, "high": 50})
    assert found["difference"]["perplexity"] == pytest.approx({"mean": 50, "low": 50, "high": 50})
    assert found["ratio"] == pytest.approx({"mean": 2, "low": 2, "high": 2})
    assert (found["windows"], found["tokens"]) == (4, 32)
    with pytest.raises(IntsimError, match="longer text"):
        evaluate(losses[:0], losses[:0], 9)


def test_intervals_hold_the_mean_and_a_paired_one_is_narrower():
    rng = np.random.default_rng(0)
    real = rng.normal(4, 0.5, 60)
    found = evaluate(real, real + rng.normal(0.02, 0.01, 60), 128)
    for figure in (found["float"]["perplexity"], found["difference"]["perplexity"], found["ratio"]):
        assert figure["low"] < figure["mean"] < figure["high"]
    width = {
        name: found[name]["perplexity"]["high"] - found[name]["perplexity"]["low"] for name in ("float", "difference")
    }
    assert width["difference"] < width["float"] / 5


def test_eight_bits_keep_the_perplexity_of_the_carried_llama_and_four_do_not():
    task = open_task("stdlib-llama", Data(count=8))
    assert not task.higher_is_better
    found = {bits: task.evaluate(task.design(with_bits(illm, bits))) for bits in ("w8a8", "w4a4")}
    assert 30 < found["w8a8"]["float"]["perplexity"]["mean"] < 90
    assert abs(found["w8a8"]["ratio"]["mean"] - 1) < 0.01
    assert 1.02 < found["w4a4"]["ratio"]["mean"] < 1.3
    network = task.design(ivit)
    assert network.is_integer_only
    assert abs(task.evaluate(network)["ratio"]["mean"] - 1) < 0.02


def test_stored_factors_bring_back_what_large_channels_cost_at_four_bits():
    task, scheme = open_task("stdlib-llama", Data(count=4)), with_bits(illm, "w4a4")
    large = with_outliers(task.model)
    behind = smoothed(large, fsbr.load(PLACE / "fsbr-w4a4-outliers.safetensors"))
    np.testing.assert_allclose(behind(task.probe[0]), task.model(task.probe[0]), atol=1e-3)
    lost, kept = (task.evaluate(IntegerLlama.design(m, scheme, task.samples))["ratio"] for m in (large, behind))
    assert lost["low"] > 5
    assert kept["high"] < 1.3


def test_a_text_of_ones_own_calibrates_with_its_first_eighth(tmp_path):
    (tmp_path / "own.txt").write_text(folder.text(PLACE, "calibration.txt"), encoding="utf-8")
    task = open_task("stdlib-llama", Data(text=tmp_path / "own.txt", count=3))
    tokens = windows(TOKENIZER, folder.text(PLACE, "calibration.txt"), 128)
    aside = len(tokens) // 8
    assert np.array_equal(np.concatenate(task.samples), tokens[:aside])
    assert np.array_equal(task.probe[0], tokens[aside : aside + 3])
    (tmp_path / "short.txt").write_text("A few words.", encoding="utf-8")
    with pytest.raises(IntsimError, match="more text"):
        open_task("stdlib-llama", Data(text=tmp_path / "short.txt"))
    with pytest.raises(IntsimError, match="cannot read"):
        open_task("stdlib-llama", Data(text=tmp_path / "none.txt"))
