"""Static schemes on MiniLM: what each keeps, and the places where a wrong width or scale would show."""

import dataclasses

import numpy as np
import pytest
from random_bert import SAMPLES, small

from intsim.errors import IntsimError
from intsim.exact import plain
from intsim.measure.network import by_place
from intsim.measure.network.retrieval import by_length, pairs
from intsim.models import Bert, IntegerBert
from intsim.models.real import folder
from intsim.nonlinear import ShiftGELU
from intsim.schemes import SCHEMES, Operator, Step, hawq, illm, ivit

SMOOTH = Step.of("smooth", strength="17/20")


@pytest.fixture(scope="module")
def minilm():
    """The twin, tokens to calibrate on, and 60 other texts with the twin's vectors."""
    place = folder.find("minilm")
    model, tokenizer = Bert.load(place), folder.tokenizer(place)

    def batches(count, held_out):
        texts = [text for pair in pairs(count, held_out=held_out) for text in pair]
        return [tokens for _, tokens in by_length(tokenizer, texts, 32)]

    judged = batches(30, True)
    return model, batches(16, False), judged, [model.real(tokens)["pooled"] for tokens in judged]


def cosine(minilm, scheme):
    """Mean cosine between the integer network's vectors and the twin's."""
    model, samples, judged, real = minilm
    network = IntegerBert.design(model, scheme, samples)
    found = []
    for tokens, vectors in zip(judged, real, strict=True):
        got = network(tokens).decode()
        found.append((got * vectors).sum(-1) / np.linalg.norm(got, axis=-1) / np.linalg.norm(vectors, axis=-1))
    return float(np.concatenate(found).mean())


def with_branches_of(bits, scheme):
    """The scheme's network as if what enters the residual adds had so few bits."""
    return scheme.replace(bits=dataclasses.replace(scheme.bits, identity=bits, residual=bits))


@pytest.mark.parametrize("name", ["hawq", "ibert", "ivit", "fq_petr", "db_attn", "nli"])
def test_a_static_scheme_keeps_the_vectors(name, minilm):
    assert cosine(minilm, SCHEMES[name]) > 0.97


def test_ranges_by_squared_error_and_smoothing_keep_more(minilm):
    plainly, squared = (cosine(minilm, hawq.replace(range=rule)) for rule in ("minmax", "mse"))
    assert squared > plainly
    for scheme, least in ((hawq, 0.992), (ivit, 0.991)):
        assert cosine(minilm, scheme.replace(range="mse", steps=(SMOOTH,))) > least


def test_a_residual_stream_of_8_bits_loses_the_vectors(minilm):
    """Why the branches have the stream's width: outliers of `down` and of the sums leave the others no codes."""
    assert cosine(minilm, with_branches_of(8, hawq)) < 0.9


def alone(minilm, scheme, kind):
    """Decibels of the operators of one kind, each given the twin's inputs, block by block."""
    model, samples, judged, _ = minilm
    places = by_place(model, IntegerBert.design(model, scheme, samples), judged[len(judged) // 2 :][:2])
    return [figures["alone"] for place, figures in places.items() if place.endswith(kind)]


def test_ivits_shift_exponentials_work_at_every_place(minilm):
    """Scores and GELU inputs reach 41 and 25: coarse scales, where x0 must be exact and the maximum limited."""
    assert min(alone(minilm, ivit, ".p")) > 19
    assert min(alone(minilm, ivit, ".gelu")) > 12
    published = ivit.replace(activation=Operator.of(ShiftGELU, n=23, out_bits=8))
    assert max(alone(minilm, published, ".gelu")[:3]) < 5


def test_steps_that_fit_no_static_scale_are_refused(minilm):
    model, samples, _, _ = minilm
    with pytest.raises(IntsimError, match="rotation mixes channels"):
        IntegerBert.design(model, hawq.replace(steps=(Step.of("hadamard"),)), samples[:2])
    with pytest.raises(IntsimError, match="one scale per token"):
        IntegerBert.design(model, illm.replace(steps=(SMOOTH,)), samples[:2])


def test_a_smoothed_network_is_the_same_on_unbounded_integers():
    network = IntegerBert.design(small(), ivit.replace(steps=(SMOOTH, Step.of("gps"))), SAMPLES)
    fast = network.trace(SAMPLES[0][:1])
    with plain():
        slow = network.trace(SAMPLES[0][:1])
    for place, tensor in slow.items():
        assert np.array_equal(tensor.data, fast[place].data), place
    assert fast["0.gelu"].m.shape == fast["0.gelu"].shape[-1:]
