"""Law 1 on whole networks: from the tokens or pixels to the result no array of the package holds a float."""

import numpy as np
import pytest
from integer_only import FloatAtRunTime, guard, integer_only
from small_bert import bert_folder, write_pairs
from small_vit import images, small_vit

from intsim.exact import plain
from intsim.measure.network import Data, open_task
from intsim.models import IntegerLlama, IntegerViT
from intsim.models.real.llama import made_up
from intsim.schemes import SCHEMES

LLAMA = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4}
LLAMA |= {"vocab_size": 40, "num_key_value_heads": 2, "max_position_embeddings": 16}
WHOLE = [name for name, scheme in SCHEMES.items() if name != "hawq"]


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return open_task(str(bert_folder(folder / "bert")), Data(pairs=write_pairs(folder / "pairs.tsv")))


def check(network, inputs):
    """The network with the plain operators, floats forbidden, against the compiled one with nothing forbidden."""
    assert network.is_integer_only
    wanted = network.trace(inputs)
    with integer_only(), plain():
        found = network.trace(guard(inputs))
    assert list(found) == list(wanted)
    for place, tensor in wanted.items():
        for part in ("data", "m", "k", "zero_point"):
            got = np.asarray(getattr(found[place], part))
            assert got.dtype.kind in "iuO", place
            assert np.array_equal(got, getattr(tensor, part)), (place, part)


@pytest.mark.parametrize("name", WHOLE)
def test_bert_from_tokens_to_the_pooled_vector(bert, name):
    check(bert.design(SCHEMES[name]), bert.probe[0][:1])


@pytest.mark.parametrize("name", WHOLE)
def test_vit_from_pixels_to_the_logits(name):
    check(IntegerViT.design(small_vit(), SCHEMES[name], [images(seed) for seed in range(2)]), images(0)[:1])


@pytest.mark.parametrize("name", WHOLE)
def test_llama_from_tokens_to_the_logits(name):
    tokens = [np.random.default_rng(n).integers(0, 40, (2, 12)) for n in range(2)]
    check(IntegerLlama.design(made_up(LLAMA), SCHEMES[name], tokens), tokens[0][:1, :4])


def test_a_network_with_float_operators_is_caught(bert):
    network = bert.design(SCHEMES["hawq"])
    assert not network.is_integer_only
    with integer_only(), plain(), pytest.raises((FloatAtRunTime, TypeError)):
        network.trace(guard(bert.probe[0][:1]))
