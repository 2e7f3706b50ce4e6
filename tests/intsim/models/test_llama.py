"""The integer Llama: unbounded integers, a cache that changes no bit, mask, grouped heads, schemes against float."""

import dataclasses

import numpy as np
import pytest
from integer_only import guard, integer_only

from intsim.errors import DtypeError, IntsimError
from intsim.exact import plain
from intsim.formats.quantized import Quantized
from intsim.measure.network import with_bits
from intsim.models import IntegerLlama
from intsim.models.real.llama import made_up
from intsim.prepare.llama import prepare, smoothed, within
from intsim.schemes import SCHEMES, Step, illm
from intsim.schemes.causal import align_seen

CONFIG = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4}
CONFIG |= {"vocab_size": 40, "num_key_value_heads": 2, "max_position_embeddings": 16}
MODEL = made_up(CONFIG)
SAMPLES = [np.random.default_rng(n).integers(0, 40, (2, 12)) for n in range(4)]
TOKENS = SAMPLES[0]
STATIC = ["ivit", "ibert", "fq_petr", "hawq"]
PARTS = ("data", "m", "k", "zero_point")


def network(name="illm", model=MODEL):
    return IntegerLlama.design(model, SCHEMES[name], SAMPLES)


def equal(a, b):
    return all(np.array_equal(getattr(a, part), getattr(b, part)) for part in PARTS)


@pytest.mark.parametrize("name", ["illm", "ivit", "ibert", "fq_petr"])
def test_compiled_network_equals_unbounded_integers_at_every_place(name):
    found = network(name)
    fast = found.trace(TOKENS[:, :5])
    with plain():
        slow = found.trace(TOKENS[:, :5])
    assert list(fast) == list(slow)
    assert len(fast) == 1 + 2 * 16 + 2
    assert found.is_integer_only
    for place, tensor in slow.items():
        assert equal(tensor, fast[place]), place


@pytest.mark.parametrize("name", ["illm", "ivit"])
def test_no_float_is_touched_from_tokens_to_logits(name):
    found = network(name)
    with plain(), integer_only():
        logits = found(guard(TOKENS[:1, :3]))
    assert equal(logits, found(TOKENS[:1, :3]))


@pytest.mark.parametrize("name", ["illm", *STATIC])
def test_token_by_token_with_a_cache_gives_the_same_integers(name):
    found = network(name)
    whole, cache = found(TOKENS), {}
    steps = [(0, 3), *((at, 1) for at in range(3, 10)), (10, 2)]
    for at, n in steps:
        part = found(TOKENS[:, at : at + n], cache)
        assert np.array_equal(part.data, whole.data[:, at : at + n])
        if name == "illm":
            assert np.array_equal(part.decode(), whole.decode()[:, at : at + n])
    assert cache["1.k"].shape == (2, 2, 12, 4)
    assert cache["1.v"].data.dtype.kind in "iu"
    with pytest.raises(IntsimError, match="16"):
        found(TOKENS[:, :5], cache)


@pytest.mark.parametrize("name", ["illm", *STATIC])
def test_later_tokens_change_nothing_before_them(name):
    found = network(name)
    other = TOKENS.copy()
    other[:, 7:] = (other[:, 7:] + 13) % 40
    before, after = found.trace(TOKENS), found.trace(other)
    assert np.array_equal(before["logits"].decode()[:, :7], after["logits"].decode()[:, :7])
    assert not np.array_equal(before["logits"].decode()[:, 7:], after["logits"].decode()[:, 7:])
    p = before["0.p"].data
    assert not np.triu(p, 1).any()
    assert (np.tril(p).sum(axis=-1) > 0).all()


def test_what_comes_out_does_not_depend_on_the_rest_of_the_batch():
    found = network()
    assert equal(found(TOKENS[1:]), Quantized(*(getattr(found(TOKENS), part)[1:] for part in PARTS)))


def test_grouped_heads_are_those_of_a_model_with_each_group_repeated():
    def repeated(pair):
        weight, bias = pair
        heads = weight.reshape(len(weight), MODEL.groups, 1, MODEL.channels)
        return np.repeat(heads, 2, axis=2).reshape(len(weight), -1), bias

    blocks = tuple(
        dataclasses.replace(b, linear=dict(b.linear) | {n: repeated(b.linear[n]) for n in "kv"}) for b in MODEL.blocks
    )
    many = dataclasses.replace(MODEL, groups=4, blocks=blocks)
    np.testing.assert_allclose(many(TOKENS), MODEL(TOKENS), atol=1e-5)
    for name in ("illm", "ivit"):
        few, all_heads = network(name).trace(TOKENS), network(name, many).trace(TOKENS)
        for place in ("0.p", "0.context", "logits"):
            assert equal(few[place], all_heads[place]), (name, place)


@pytest.mark.parametrize("name", ["illm", "ivit", "ibert", "fq_petr", "db_attn", "nli", "hawq"])
def test_eight_bits_stay_close_to_float(name):
    real = np.concatenate([MODEL(t) for t in SAMPLES])
    found = network(name)
    got = np.concatenate([found(t).decode() for t in SAMPLES])
    assert 10 * np.log10((real**2).sum() / ((got - real) ** 2).sum()) > (27 if name == "illm" else 20)
    assert found.is_integer_only == (name != "hawq")


def test_fewer_bits_lose_more_but_for_the_head():
    real = MODEL(TOKENS)
    noise = {}
    for bits in ("w8a8", "w6a6", "w4a4"):
        found = IntegerLlama.design(MODEL, with_bits(illm, bits), SAMPLES)
        noise[bits] = np.square(found(TOKENS).decode() - real).mean()
        assert np.abs(found.layers["logits"].weight.unpacked().data).max() == 127
    assert noise["w8a8"] < noise["w6a6"] < noise["w4a4"]


def test_a_smoothed_gate_is_undone_inside_the_sigmoid_where_the_scheme_can():
    factors = [{"x1x2": np.exp(np.random.default_rng(n).normal(0, 1, 24))} for n in range(2)]
    model = smoothed(MODEL, factors)
    got, real = network(model=model).trace(TOKENS), model.real(TOKENS)
    for number in range(2):
        act = real[f"{number}.act"]
        assert np.square(got[f"{number}.act"].decode() - act).sum() < 0.01 * np.square(act).sum()
    with pytest.raises(IntsimError, match="divisor per channel"):
        network("ivit", model)


def test_large_gated_activations_are_brought_within_the_exponents_without_changing_a_code():
    powers = [{"fc2": np.full(24, 2.0**-n)} for n in (9, 11)]  # activations 512 and 2048 times as large
    large = smoothed(MODEL, powers)
    assert np.array_equal(large(TOKENS), MODEL(TOKENS))
    scheme = with_bits(illm, "w4a4")
    got, wanted = (IntegerLlama.design(model, scheme, SAMPLES).trace(TOKENS) for model in (large, MODEL))
    assert all(np.array_equal(got[place].data, wanted[place].data) for place in wanted)
    assert np.array_equal(got["logits"].decode(), wanted["logits"].decode())
    most = scheme.design_reach(4)
    assert most == 15 * 255
    reach = [float(np.abs(large.real(TOKENS)[f"{n}.act"]).max()) for n in (0, 1)]
    inside = within(large, reach, most / 64)
    assert all(np.abs(inside.real(TOKENS)[f"{n}.act"]).max() <= most / 64 for n in (0, 1))
    assert np.array_equal(inside(TOKENS), MODEL(TOKENS))
    assert within(MODEL, [1.0, 1.0], most) is MODEL


def test_the_steps_of_a_scheme_are_carried_out():
    steps = (Step.of("smooth", strength="1/2"),)
    found = IntegerLlama.design(MODEL, illm.replace(steps=steps), SAMPLES)
    by_hand = network(model=prepare(MODEL, steps, SAMPLES))
    assert equal(found(TOKENS), by_hand(TOKENS))
    assert not equal(found(TOKENS), network()(TOKENS))


def test_a_scheme_without_an_operator_is_refused():
    with pytest.raises(IntsimError, match="gated"):
        IntegerLlama.design(MODEL, illm.replace(gated=None), SAMPLES)
    with pytest.raises(IntsimError, match="norm"):
        IntegerLlama.design(MODEL, SCHEMES["ivit"].replace(norm=None), SAMPLES)


def test_tokens_beyond_the_table_are_refused():
    for name in ("illm", "ivit"):
        with pytest.raises(IntsimError, match="40"):
            network(name)(np.array([[1, 40]]))
        with pytest.raises(DtypeError):
            network(name)(np.array([[1.0, 2.0]]))


def test_columns_of_zeros_do_not_decide_the_scale_of_a_row():
    x = np.array([[5, 0, -7, 3], [0, 0, 0, 0]], dtype=np.int64)
    m, k = np.array([[200, 130, 255, 128]]), np.array([[10, 2, 12, 70]])
    out, least = np.empty_like(x), np.empty(2, dtype=np.int64)
    align_seen(x.astype(object), m.astype(object), k.astype(object), 2, out, least)
    assert out.tolist() == [[1000, 0, (-7 * 255) >> 2, (3 * 128) >> 60], [0, 0, 0, 0]]
    assert least.tolist() == [10, 30]
