"""FSBR's factors: stored and read back, learned where torch is, and what they are for: channels of large values."""

import importlib.util

import numpy as np
import pytest

from intsim.errors import IntsimError
from intsim.measure.network import with_bits
from intsim.models import IntegerLlama
from intsim.models.real.llama import made_up
from intsim.prepare import fsbr
from intsim.prepare.llama import FAMILIES, first_factors, smoothed, with_outliers
from intsim.schemes import Step, illm

CONFIG = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
MODEL = made_up({**CONFIG, "vocab_size": 60, "num_key_value_heads": 2, "max_position_embeddings": 32})
SAMPLES = [np.random.default_rng(n).integers(0, 60, (2, 16)) for n in range(3)]


def noise(model, bits="w4a4"):
    real = MODEL(SAMPLES[0])
    got = IntegerLlama.design(model, with_bits(illm, bits), SAMPLES)(SAMPLES[0]).decode()
    return np.square(got - real).sum() / np.square(real).sum()


def test_smoothing_recovers_what_large_channels_cost_at_four_bits():
    worse = with_outliers(MODEL)
    np.testing.assert_allclose(worse(SAMPLES[0]), MODEL(SAMPLES[0]), atol=2e-4)
    larger = worse.real(SAMPLES[0])["1.norm1"] / MODEL.real(SAMPLES[0])["1.norm1"]
    np.testing.assert_allclose(np.sort(larger, axis=-1), [[[*[1.0] * 28, *[40.0] * 4]] * 16] * 2, rtol=1e-2)
    step = Step.of("smooth", strength="1/2")
    better = smoothed(worse, first_factors(worse, step, SAMPLES))
    assert noise(worse) > 2 * noise(better)
    assert noise(worse, "w8a8") < noise(worse) / 4  # eight bits have room for them


def test_factors_are_stored_and_read_back(tmp_path):
    factors = [{"qkv": np.array([0.5, 2.0]), "fc2": np.array([1.0, 0.25, 8.0])}, {"qkt": np.array([4.0])}]
    fsbr.save(factors, tmp_path / "factors.safetensors")
    found = fsbr.load(tmp_path / "factors.safetensors")
    assert [sorted(block) for block in found] == [["fc2", "qkv"], ["qkt"]]
    assert all(np.array_equal(found[n][name], v) for n, block in enumerate(factors) for name, v in block.items())
    with pytest.raises(IntsimError, match=r"fsbr\.save"):
        fsbr.load(tmp_path / "none.safetensors")
    (tmp_path / "damaged").write_bytes(b"nothing")
    with pytest.raises(IntsimError, match=r"fsbr\.save"):
        fsbr.load(tmp_path / "damaged")


def test_learning_lowers_the_error_of_every_block_or_says_that_torch_is_missing():
    if importlib.util.find_spec("torch") is None:
        with pytest.raises(IntsimError, match=r"pip install 'intsim\[learn\]'"):
            fsbr.learn(MODEL, SAMPLES)
        return
    seen = []
    model = with_outliers(MODEL)
    factors = fsbr.learn(model, SAMPLES, steps=8, rate=0.05, progress=lambda *found: seen.append(found))
    assert all(after < before for _, before, after in seen)
    assert all(sorted(block) == sorted(FAMILIES) for block in factors)
    np.testing.assert_allclose(smoothed(model, factors)(SAMPLES[0]), MODEL(SAMPLES[0]), atol=5e-4)
    assert noise(smoothed(model, factors)) < noise(model)


def test_learning_needs_samples():
    with pytest.raises(IntsimError, match="samples"):
        fsbr.learn(MODEL, [])
