"""FQ-PETR, DB-Attn and NLI as schemes: their layers beside the real functions."""

import numpy as np
import pytest

from intsim.formats import Int
from intsim.formats.quantized import Quantized
from intsim.parameters import from_plain, to_plain
from intsim.schemes import SCHEMES, db_attn, fq_petr, nli
from intsim.tables import DULUT, NLI, ScaledTable, functions
from intsim.unit import Unit

OURS = [fq_petr, db_attn, nli]


@pytest.mark.parametrize("scheme", OURS, ids=lambda s: s.name)
def test_attention_probabilities_are_near_the_softmax(scheme):
    rng = np.random.default_rng(4)
    q, k = (rng.integers(-127, 128, (3, n, 16)).astype(np.int8) for n in (5, 40))
    scale = 0.02
    layer = scheme.design_attention(scale, scale, 2.0**-10, 0.25, 64)
    keep = np.ones(40, dtype=np.uint8)
    keep[33:] = 0
    y = layer(Quantized(q, 1, 0), Quantized(k, 1, 0), keep)
    scores = (q.astype(float) @ k.astype(float).swapaxes(1, 2)) * scale**2 * 0.25
    scores[..., 33:] = -np.inf
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    wanted = powers / powers.sum(axis=-1, keepdims=True)
    found = y.data * 2.0 ** -int(y.k)
    assert np.abs(found - wanted).sum(axis=-1).max() / 2 < 0.02
    assert np.all(found[..., 33:] == 0)
    assert [type(u).__name__ for u in layer.units][1] == scheme.softmax.unit


@pytest.mark.parametrize("scheme", OURS, ids=lambda s: s.name)
def test_activation_is_near_gelu(scheme):
    bits = scheme.bits.gelu
    scale = 8.0 / (1 << (bits - 1))
    layer = scheme.design_activation(scale, 8.0 / 127, 0)
    codes = Int(bits).codes()
    y = layer(Quantized(codes, 1, 0)).data * (8.0 / 127)
    assert np.abs(y - functions.gelu(codes * scale)).max() < 0.6 * 8 / 127  # 8-bit output: half a step and a little


@pytest.mark.parametrize("scheme", OURS, ids=lambda s: s.name)
def test_schemes_are_named_and_stored(scheme):
    assert SCHEMES[scheme.name] == scheme
    assert from_plain(to_plain(scheme)) == scheme


@pytest.mark.parametrize(("kind", "table"), [("dulut", DULUT), ("nli", NLI), ("uniform", None), ("direct", None)])
def test_scaled_table_is_its_table_in_real_units(kind, table):
    unit = ScaledTable.design(0.05, "silu", kind, x=Int(8))
    codes = Int(8).codes()
    y = unit(codes)
    np.testing.assert_array_equal(y, unit.table(codes))
    assert table is None or isinstance(unit.table, table)
    error = np.abs(y - unit.real(codes)) * (unit.scale_out[0] * 2.0 ** -unit.scale_out[1])
    assert error.max() < {"dulut": 0.01, "nli": 0.001, "uniform": 0.05, "direct": 2e-4}[kind]
    assert Unit.from_json(unit.to_json()) == unit
    np.testing.assert_array_equal(unit(unit.corners()[0]), unit.table(unit.corners()[0]))
