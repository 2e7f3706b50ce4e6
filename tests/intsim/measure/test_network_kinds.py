"""Errors by place, recordings and vectors of the other kinds of networks: a vision transformer and a Llama."""

import numpy as np
import pytest
from small_vit import images, small_vit

from intsim.formats.quantized import Quantized
from intsim.measure.network import by_place, read_vectors, write_vectors
from intsim.measure.network.comparison import representatives
from intsim.measure.network.operators import format_of
from intsim.measure.network.record import record
from intsim.models import IntegerLlama, IntegerViT
from intsim.models.real.llama import made_up
from intsim.schemes import SCHEMES

CONFIG = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4}
CONFIG |= {"vocab_size": 40, "num_key_value_heads": 2, "max_position_embeddings": 16}
LLAMA, VIT = made_up(CONFIG), small_vit()
TOKENS = [np.random.default_rng(n).integers(0, 40, (2, 12)) for n in range(4)]
PIXELS = [images(seed) for seed in range(3)]


def networks(kind, name):
    if kind == "llama":
        return LLAMA, IntegerLlama.design(LLAMA, SCHEMES[name], TOKENS), TOKENS
    return VIT, IntegerViT.design(VIT, SCHEMES[name], PIXELS), PIXELS


CASES = [(kind, name) for kind in ("vit", "llama") for name in ("ivit", "illm", "hawq")]


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_every_layer_has_its_place(kind, name):
    model, network, inputs = networks(kind, name)
    places = by_place(model, network, inputs[:2])
    assert set(network.layers) <= set(places)
    assert "other" not in {found["kind"] for found in places.values()}
    batches = [(model.real(x), network.trace(x)) for x in inputs[:2]]
    for place, found in places.items():
        real = np.concatenate([r[place].astype(float).reshape(-1) for r, _ in batches])
        got = np.concatenate([t[place].decode().reshape(-1) for _, t in batches])
        wanted = 10 * np.log10(np.square(real).sum() / np.square(got - real).sum())
        assert found["decibels"] == pytest.approx(wanted, abs=1e-6), place
        assert found["decibels"] > 15, place


# What has no figure alone, with the reason: a part of the tensor before it (the first token; grouped heads whose tokens
# have scales of their own), a table besides the twin's tensors, pixels.
WITHOUT = {
    ("vit", "ivit"): {"patches", "embedding", "norm"},
    ("vit", "illm"): {"patches", "embedding", "norm"},
    ("vit", "hawq"): {"patches", "embedding", "norm"},
    ("llama", "ivit"): {"embedding"},
    ("llama", "illm"): {"embedding", "0.p", "1.p"},
    ("llama", "hawq"): {"embedding"},
}


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_operators_alone_are_as_good_as_their_bits(kind, name):
    """Heads split, merged, grouped and turned: all stand beside the right values of the twin."""
    model, network, inputs = networks(kind, name)
    places = by_place(model, network, inputs[:2])
    assert {place for place, found in places.items() if found["alone"] is None} == WITHOUT[kind, name]
    for place, found in places.items():
        if found["alone"] is not None:
            assert found["alone"] > 20, place


@pytest.mark.parametrize(("kind", "name"), [*CASES, ("llama", "ibert")])
def test_the_format_of_a_place_holds_its_codes(kind, name):
    _, network, inputs = networks(kind, name)
    for place, tensor in network.trace(inputs[0]).items():
        fmt = format_of(network, place, tensor)
        assert fmt.lo <= tensor.data.min() <= tensor.data.max() <= fmt.hi, place
    if kind == "llama":
        assert str(format_of(network, "embedding", network.trace(inputs[0])["embedding"])) == (
            "u16" if network.scheme.dynamic else "s16"
        )


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_vectors_hold_the_whole_run(kind, name, tmp_path):
    _, network, inputs = networks(kind, name)
    write_vectors(network, inputs[0][:1], tmp_path)
    found, run = read_vectors(tmp_path), record(network, inputs[0][:1])
    assert len(found.manifest["layers"]) == len(run.calls) >= len(network.layers)
    for layer, call in zip(found.manifest["layers"], run.calls, strict=True):
        assert layer["place"] == call.place
        tensors = [found.tensor(tensor) for tensor in layer["inputs"]]
        given = [
            tensor if isinstance(was, Quantized) else tensor.data.astype(np.asarray(was).dtype)
            for tensor, was in zip(tensors, call.inputs, strict=True)
        ]
        again, wanted = call.layer(*given), found.tensor(layer["output"])
        for part in ("data", "m", "k", "zero_point"):
            assert np.array_equal(*np.broadcast_arrays(getattr(again, part), getattr(wanted, part))), call.place


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_the_hardware_beside_the_figures_is_that_of_the_network(kind, name):
    _, network, _ = networks(kind, name)
    found = {part: type(unit).__name__ for part, (_, unit) in representatives(network).items()}
    wanted = {
        ("vit", "ivit"): {"softmax": "Shiftmax", "activation": "ShiftGELU", "norm": "IViTLayerNorm"},
        ("vit", "illm"): {"softmax": "DIClippedSoftmax", "activation": "DISwiGLU", "norm": "DINorm"},
        ("llama", "illm"): {"softmax": "DIClippedSoftmax", "activation": "DISwiGLU", "norm": "DINorm"},
    }
    if name == "hawq":
        assert found == {}
    elif (kind, name) in wanted:
        assert found == wanted[kind, name]
    else:
        assert set(found) == {"softmax", "activation", "norm"}
