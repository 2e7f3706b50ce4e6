"""The float32 Llama: logits of an independent implementation, folders, and what moves inside without changing them."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from intsim.errors import IntsimError
from intsim.models.real import folder
from intsim.models.real.llama import Llama, made_up
from intsim.prepare.llama import FAMILIES, balance_scores, prepare, rotated, smoothed
from intsim.schemes import Step

VECTORS = np.load(Path(__file__).parents[2] / "vectors" / "llama" / "vectors.npz")
CONFIG = {
    "model_type": "llama",
    "hidden_act": "silu",
    "hidden_size": 32,
    "intermediate_size": 48,
    "vocab_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
}
WEIGHTS = {name: VECTORS[name] for name in VECTORS.files if name.endswith(".weight")}


def write(path, weights=WEIGHTS, **changes):
    """A folder; what is changed to None is left out of the config."""
    config = {name: value for name, value in {**CONFIG, **changes}.items() if value is not None}
    (path / "config.json").write_text(json.dumps(config))
    save_file(weights, path / "model.safetensors")
    return path


@pytest.fixture
def model(tmp_path):
    return Llama.load(write(tmp_path))


def test_logits_are_those_of_an_independent_implementation(model):
    found = model.real(VECTORS["tokens"])
    np.testing.assert_allclose(found["logits"], VECTORS["logits"], atol=2e-5)
    np.testing.assert_allclose(found["0.sum2"], VECTORS["hidden"], atol=2e-5)
    assert list(found)[-1] == "logits"
    assert all(tensor.dtype == np.float32 for tensor in found.values())


def test_a_cache_gives_the_same_logits(model):
    cache = {}
    parts = [model(VECTORS["tokens"][:, at : at + n], cache) for at, n in ((0, 5), (5, 1), (6, 18))]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), VECTORS["logits"], atol=2e-5)
    with pytest.raises(IntsimError, match="64"):
        model(np.zeros((2, 41), dtype=int), cache)


def test_weights_in_several_files_and_in_bfloat16_are_read(tmp_path, model):
    (tmp_path / "split").mkdir()
    write(tmp_path / "split")
    (tmp_path / "split" / "model.safetensors").unlink()
    names = sorted(WEIGHTS)
    place = {name: f"model-{number % 2}.safetensors" for number, name in enumerate(names)}
    for file in set(place.values()):
        save_file({name: WEIGHTS[name] for name in names if place[name] == file}, tmp_path / "split" / file)
    (tmp_path / "split" / "model.safetensors.index.json").write_text(json.dumps({"weight_map": place}))
    tokens = VECTORS["tokens"]
    assert np.array_equal(Llama.load(tmp_path / "split")(tokens), model(tokens))

    halves = {"x": np.array([[1.0, -2.5], [3.25, 0.0]], dtype=np.float32)}
    body = (halves["x"].view(np.uint32) >> 16).astype("<u2").tobytes()
    header = json.dumps({"x": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, len(body)]}}).encode()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + body)
    assert np.array_equal(folder.weights(tmp_path / "b")["x"], halves["x"])


def test_what_a_config_leaves_out_is_what_hugging_face_takes(tmp_path, model):
    left_out = {name: None for name in ("hidden_act", "rope_theta", "tie_word_embeddings")}
    short = Llama.load(write(tmp_path, **left_out, max_position_embeddings=None, rms_norm_eps=None))
    assert (short.positions, short.eps, short.base) == (2048, 1e-6, 10000.0)
    assert np.array_equal(short.head, model.head)
    assert Llama.load(write(tmp_path, num_key_value_heads=None, weights=repeated_groups())).groups == 4


def repeated_groups():
    """The weights with the keys and values of each group once per head."""
    found = dict(WEIGHTS)
    for name, tensor in WEIGHTS.items():
        if "k_proj" in name or "v_proj" in name:
            found[name] = np.repeat(tensor.reshape(2, 8, 32), 2, axis=0).reshape(32, 32)
    return found


@pytest.mark.parametrize(
    "changes",
    [
        {"rope_theta": 500.0, "rope_scaling": {"rope_type": "default"}},
        {"rope_theta": 500.0, "rope_scaling": {"type": "default"}},
        {"rope_theta": None, "rope_parameters": {"rope_theta": 500.0, "rope_type": "default"}},
    ],
)
def test_the_base_of_the_rotary_angles_is_found_where_old_and_new_configs_have_it(tmp_path, changes):
    found = Llama.load(write(tmp_path, **changes))
    assert found.base == 500
    assert not np.allclose(found(VECTORS["tokens"]), VECTORS["logits"], atol=1e-3)


def test_a_tied_head_and_biases_are_read(tmp_path, model):
    weights = {name: tensor for name, tensor in WEIGHTS.items() if name != "lm_head.weight"}
    weights["model.layers.1.self_attn.v_proj.bias"] = np.linspace(-1, 1, 16).astype(np.float16)
    found = Llama.load(write(tmp_path, weights, tie_word_embeddings=True))
    assert np.array_equal(found.head, found.words.T)
    shift = found.real(VECTORS["tokens"])["1.v"] - model.real(VECTORS["tokens"])["1.v"]
    np.testing.assert_allclose(shift.swapaxes(1, 2).reshape(2, 24, 16)[0, 3], np.linspace(-1, 1, 16), atol=1e-3)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"model_type": "bert"}, "give a Llama"),
        ({"hidden_act": "gelu"}, "give a Llama"),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "rotary"),
        ({"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}}, "rotary"),
        ({"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}}, "rotary"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantised"),
        ({"num_hidden_layers": 3}, r"layers\.2\."),
        ({"num_attention_heads": 3}, "3 heads in 2 groups"),
        ({"head_dim": 16}, r"q_proj\.weight is of shape \(32, 32\), by config.json of \(64, 32\)"),
        ({"vocab_size": 100}, r"embed_tokens\.weight is of shape \(96, 32\)"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused(tmp_path, changes, word):
    with pytest.raises(IntsimError, match=word):
        Llama.load(write(tmp_path, **changes))


def test_a_damaged_index_is_refused(tmp_path):
    write(tmp_path)
    for body, word in (("{", "cannot read"), ("{}", "weight_map"), ('{"weight_map": {"x": "none"}}', "none")):
        (tmp_path / "model.safetensors.index.json").write_text(body)
        with pytest.raises(IntsimError, match=word):
            Llama.load(tmp_path)


# Preparation ---------------------------------------------------------------------------------------------------


def same(model, other):
    np.testing.assert_allclose(other(VECTORS["tokens"]), VECTORS["logits"], atol=2e-4)
    return not np.allclose(model.real(VECTORS["tokens"])["0.norm1"], other.real(VECTORS["tokens"])["0.norm1"])


@pytest.mark.parametrize(
    "steps",
    [[Step.of("smooth")], [Step.of("gps", bits=4)], [Step.of("hadamard"), Step.of("smooth", strength="3/4")]],
    ids=lambda steps: "+".join(step.name for step in steps),
)
def test_steps_keep_the_logits(model, steps):
    assert same(model, prepare(model, steps, [VECTORS["tokens"]]))


def test_a_rotation_from_samples_keeps_the_logits_and_evens_the_channels(model):
    turned = prepare(model, [Step.of("klt_hadamard")], [VECTORS["tokens"]])
    assert same(model, turned)
    spread = [np.square(m.real(VECTORS["tokens"])["0.sum2"]).mean(axis=(0, 1)) for m in (model, turned)]
    assert np.ptp(np.log(spread[1])) < np.ptp(np.log(spread[0]))


def test_every_family_of_factors_keeps_the_logits(model):
    rng = np.random.default_rng(0)
    sizes = {"qkv": 32, "out": 16, "fc1": 32, "x1x2": 48, "fc2": 48}
    for family in FAMILIES:
        if family == "qkt":
            factors = [{"qkt": v} for v in balance_scores(model, [VECTORS["tokens"]])]
        else:
            factors = [{family: np.exp(rng.normal(0, 1, sizes[family]))} for _ in range(2)]
        np.testing.assert_allclose(smoothed(model, factors)(VECTORS["tokens"]), VECTORS["logits"], atol=2e-4)
    with pytest.raises(IntsimError, match="rotary pair"):
        smoothed(model, [{"qkt": np.arange(1.0, 17)}] * 2)
    with pytest.raises(IntsimError, match="one per block"):
        smoothed(model, [{}])


def test_balanced_scores_have_equal_ranges_in_a_pair_of_channels(model):
    even = smoothed(model, [{"qkt": v} for v in balance_scores(model, [VECTORS["tokens"]])])
    found = even.real(VECTORS["tokens"])
    q, k = (np.abs(found[f"0.{name}_rope"]).max(axis=(0, 2)) for name in ("q", "k"))  # (heads, channels)
    q = q.reshape(2, 2, 8).max(axis=1)
    product = np.log(q / k).reshape(2, 2, 4).sum(axis=1)
    np.testing.assert_allclose(product, 0, atol=1e-4)


def test_a_rotation_needs_an_orthogonal_matrix(model):
    assert not np.allclose(rotated(model, 2 * np.eye(32))(VECTORS["tokens"]), VECTORS["logits"], atol=1e-2)


def test_a_made_up_model_has_the_shapes_of_its_config():
    config = {"hidden_size": 48, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 6}
    config |= {"vocab_size": 100, "num_key_value_heads": 3, "head_dim": 16}
    model = made_up(config)
    assert (model.heads, model.groups, model.channels, len(model.blocks)) == (6, 3, 16, 2)
    assert model(np.array([[1, 2, 3]])).shape == (1, 3, 100)
    assert 0.1 < model(np.array([[1, 2, 3]])).std() < 10
