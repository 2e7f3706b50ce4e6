"""The integer BERT: its twin against known properties, integers against unbounded integers, schemes against float."""

import dataclasses

import numpy as np
import pytest
from random_bert import SAMPLES, small

from intsim.errors import IntsimError
from intsim.exact import plain
from intsim.formats.quantized import Quantized
from intsim.models import Bert, IntegerBert
from intsim.models.real import folder
from intsim.schemes import SCHEMES, illm


def cosine(a, b):
    return (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


@pytest.mark.parametrize("name", ["ibert", "ivit", "illm"])
def test_compiled_network_equals_unbounded_integers_at_every_place(name):
    model = small()
    network = IntegerBert.design(model, SCHEMES[name], SAMPLES)
    fast = network.trace(SAMPLES[0][:1])
    with plain():
        slow = network.trace(SAMPLES[0][:1])
    assert list(fast) == list(slow)
    assert len([place for place in fast if not place.endswith("_narrow")]) == 2 + 2 * 13 + 1
    assert len(fast) - 29 == (4 if name == "ivit" else 0)  # norms that are wider than what linear layers read
    for place, tensor in slow.items():
        for part in ("data", "m", "k", "zero_point"):
            assert np.array_equal(getattr(tensor, part), getattr(fast[place], part)), (place, part)


def test_illm_stays_close_to_float_and_fewer_bits_lose():
    model = small()
    found = {}
    for bits in (8, 4):
        scheme = illm.replace(bits=dataclasses.replace(illm.bits, weight=bits, activation=bits))
        network = IntegerBert.design(model, scheme, SAMPLES)
        got = [network(t).decode() for t in SAMPLES]
        found[bits] = np.mean([cosine(g, model.real(t)["pooled"]) for g, t in zip(got, SAMPLES, strict=True)])
    assert found[8] > 0.995 > found[4]


def test_what_comes_out_of_a_call_does_not_depend_on_the_rest_of_the_batch():
    model = small()
    network = IntegerBert.design(model, illm, SAMPLES)
    both = network(SAMPLES[1]).decode()
    alone = network(SAMPLES[1][1:]).decode()
    assert np.array_equal(both[1:], alone)


def test_hawq_says_what_it_leaves_in_float():
    network = IntegerBert.design(small(), SCHEMES["hawq"], SAMPLES)
    assert network.layers["0.p"].units == () == network.layers["1.gelu"].units
    assert not network.is_integer_only
    assert isinstance(network(SAMPLES[0]), Quantized)


def test_minilm_puts_paraphrases_together():
    place = folder.find("minilm")
    model, tokenizer = Bert.load(place), folder.tokenizer(place)
    texts = ("Return the sorted list of files.", "List files in order.", "The cat sleeps on a warm sofa.")
    a, b, c = (model.real([tokenizer.encode(text).ids])["pooled"][0] for text in texts)
    assert cosine(a, b) > 0.7
    assert abs(cosine(a, c)) < 0.1


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(IntsimError, match=r"config\.json"):
        Bert.load(tmp_path)
