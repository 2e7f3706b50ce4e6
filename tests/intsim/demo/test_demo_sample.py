"""The stored activations are what the model computes on the stored text."""

import numpy as np
import pytest

from intsim import IntsimError
from intsim.demo import STORED, activations
from intsim.demo.sample import Bert, sample


def test_the_sample_is_small_and_complete():
    stored = activations()
    assert STORED.stat().st_size < 500_000
    assert stored.scores.shape == (6, 12, 4, 128)
    assert stored.mlp.shape == (6, 7, 1536)
    assert stored.scores.dtype == stored.mlp.dtype == np.float32
    assert "MiniLM" in stored.model
    assert all(len(passage.split()) > 110 for passage in stored.text)
    assert stored.exponents.max() == 0
    assert (stored.exponents == 0).any(axis=-1).all()


def test_the_script_makes_the_same_sample_again():
    """Float sums depend on the machine's BLAS in the last places, nothing else may differ."""
    stored = activations()
    made = sample(stored.text)
    assert made.model == stored.model
    np.testing.assert_allclose(made.scores, stored.scores, rtol=0, atol=2e-4)
    np.testing.assert_allclose(made.mlp, stored.mlp, rtol=0, atol=2e-4)


def test_the_forward_pass_is_the_real_model():
    """What it was trained for: sentences of one meaning are close, others are not."""
    model = Bert()
    pairs = {
        ("A man is eating food.", "Somebody eats a piece of bread."): ("The stock market fell sharply today."),
        ("How do I reset my password?", "I forgot my login credentials."): ("The cat sleeps on the sofa."),
        ("The rocket was launched into orbit.", "A spacecraft left for space."): ("Add two eggs and stir well."),
    }
    for (a, b), other in pairs.items():
        alike, unlike = model.embed(a) @ model.embed(b), model.embed(a) @ model.embed(other)
        assert alike > 0.4
        assert unlike < alike / 2
    hidden, scores, mlp = model(model.tokens("Two words."))
    n = len(model.tokens("Two words."))
    assert (hidden.shape, scores.shape, mlp.shape) == ((n, 384), (6, 12, n, n), (6, n, 1536))


def test_short_text_is_refused():
    with pytest.raises(IntsimError, match="a passage has 4 tokens, 128 are needed"):
        sample(["Two words"])


def test_a_damaged_sample_is_refused(tmp_path):
    for content in (b"", b"no archive", STORED.read_bytes()[:1000]):
        path = tmp_path / "activations.npz"
        path.write_bytes(content)
        with pytest.raises(IntsimError, match=r"is damaged .*python -m intsim.demo.sample"):
            activations(path)
