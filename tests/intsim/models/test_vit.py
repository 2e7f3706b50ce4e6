"""The vision transformer: its twin against Hugging Face's own, integers against unbounded integers and float."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from integer_only import guard, integer_only
from safetensors.numpy import load_file, save_file
from small_vit import images, small_vit

from intsim.errors import DtypeError, IntsimError
from intsim.exact import plain
from intsim.formats import Int
from intsim.linear import Conv2d
from intsim.measure.network.images import digits, evaluate, logits_of
from intsim.models import IntegerViT, ViT
from intsim.models.real import folder
from intsim.schemes import SCHEMES, ivit
from intsim.schemes.static import requantized

VECTORS = Path(__file__).parents[2] / "vectors" / "digits_vit" / "logits.npz"
SAMPLES = [images(seed) for seed in range(3)]


# The twin ---------------------------------------------------------------------------------------------------------


def test_the_twin_gives_the_logits_of_hugging_faces_vit():
    with np.load(VECTORS) as stored:
        pixels, logits = stored["pixels"], stored["logits"]
    assert len(logits) == 32
    np.testing.assert_array_equal(pixels, digits(held_out=True).pixels(slice(32)))
    real = ViT.load("digits-vit").real(pixels)
    np.testing.assert_allclose(real["logits"], logits, atol=1e-4, rtol=0)
    assert {str(t.dtype) for t in real.values()} == {"float32"}


def test_mean_and_deviation_fold_into_the_patch_embedding():
    model = small_vit()
    weight, bias = model.pixel_patches
    np.testing.assert_allclose(model.cut(SAMPLES[0]) @ weight + bias, model.embed(SAMPLES[0]), atol=1e-5)


def stored_model(tmp_path, change):
    """A copy of the digits' model, its parts changed."""
    place = folder.find("digits-vit")
    config, tensors = folder.config(place), load_file(place / "model.safetensors")
    change(config, tensors)
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


def test_a_folder_without_preprocessor_biases_and_labels_takes_hugging_faces_defaults(tmp_path):
    def change(config, tensors):
        for key in ("id2label", "hidden_act", "num_channels", "patch_size"):
            del config[key]
        for name in [n for n in tensors if n.endswith(("query.bias", "key.bias", "value.bias"))]:
            tensors[name] = np.zeros_like(tensors[name])
            if "layer.2" in name:
                del tensors[name]

    model, carried = ViT.load(stored_model(tmp_path, change)), ViT.load("digits-vit")
    assert model.labels == tuple("0123456789") == carried.labels
    np.testing.assert_array_equal(model.gain, carried.gain)
    np.testing.assert_array_equal(model.offset, carried.offset)
    assert not model.blocks[2].linear["q"][1].any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda config, tensors: config.update(model_type="deit"), "'deit'.*give a ViT with gelu"),
        (lambda config, tensors: config.update(hidden_act="relu"), "'relu'"),
        (lambda config, tensors: tensors.pop("classifier.weight"), "classifier.weight.*ViTForImageClassification"),
    ],
)
def test_another_model_is_refused(tmp_path, change, message):
    with pytest.raises(IntsimError, match=message):
        ViT.load(stored_model(tmp_path, change))


@pytest.mark.parametrize(
    ("preprocessor", "gain", "offset"),
    [
        ({"image_mean": [0.25], "image_std": [0.5], "rescale_factor": 1 / 16}, 1 / 8, -0.5),
        ({"do_normalize": False, "image_mean": [0.25]}, 1 / 255, 0),
        ({"do_rescale": False, "image_mean": 100, "image_std": 50}, 1 / 50, -2),
    ],
)
def test_pixels_are_scaled_as_the_preprocessor_says(tmp_path, preprocessor, gain, offset):
    place = stored_model(tmp_path, lambda config, tensors: None)
    (place / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    model = ViT.load(place)
    assert (model.gain.item(), model.offset.item()) == pytest.approx((gain, offset))


def test_a_preprocessor_for_other_channels_is_refused(tmp_path):
    place = stored_model(tmp_path, lambda config, tensors: None)
    (place / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.5, 0.5, 0.5]}))
    with pytest.raises(IntsimError, match="scales 3 channels, images have 1"):
        ViT.load(place)


def test_images_of_another_shape_or_type_are_refused():
    model = small_vit()
    network = IntegerViT.design(model, ivit, SAMPLES)
    for run in (model.real, network):
        with pytest.raises(DtypeError, match="float32"):
            run(SAMPLES[0].astype(np.float32))
        with pytest.raises(IntsimError, match=r"images are \(batch, 3, 8, 12\), got \(4, 3, 12, 8\)"):
            run(np.swapaxes(SAMPLES[0], 2, 3))


# The integer network ----------------------------------------------------------------------------------------------

each_scheme = pytest.mark.parametrize("name", ["ibert", "ivit", "illm"])


@each_scheme
def test_compiled_network_equals_unbounded_integers_at_every_place(name):
    model = small_vit()
    network = IntegerViT.design(model, SCHEMES[name], SAMPLES)
    fast = network.trace(SAMPLES[0][:1])
    with plain():
        slow = network.trace(SAMPLES[0][:1])
    assert list(fast) == list(slow)
    for place, tensor in slow.items():
        for part in ("data", "m", "k", "zero_point"):
            np.testing.assert_array_equal(getattr(tensor, part), getattr(fast[place], part), err_msg=place)


@each_scheme
def test_from_pixels_to_logits_no_array_becomes_a_float(name):
    network = IntegerViT.design(small_vit(), SCHEMES[name], SAMPLES)
    expected = network(SAMPLES[0][:2]).data
    assert network.is_integer_only
    with integer_only():
        got = network(guard(SAMPLES[0][:2])).data
    np.testing.assert_array_equal(np.asarray(got), expected)


@each_scheme
def test_places_are_those_of_the_twin_and_close_to_it(name):
    model = small_vit()
    real, got = model.real(SAMPLES[1]), IntegerViT.design(model, SCHEMES[name], SAMPLES).trace(SAMPLES[1])
    assert [place for place in real if not place.endswith("scores")] == list(got)
    for place, tensor in got.items():
        assert tensor.shape == real[place].shape
        noise = np.square(tensor.decode() - real[place]).sum() / np.square(real[place]).sum()
        assert noise < 0.01, place


@each_scheme
def test_an_image_does_not_depend_on_the_rest_of_the_batch(name):
    network = IntegerViT.design(small_vit(), SCHEMES[name], SAMPLES)
    np.testing.assert_array_equal(network(SAMPLES[1]).decode()[2:], network(SAMPLES[1][2:]).decode())


def test_the_patch_embedding_is_a_convolution_of_the_pixels():
    network = IntegerViT.design(small_vit(), ivit, SAMPLES)
    layer = network.layers["patches"]
    filters = layer.weight.values().T.reshape(-1, 3, 4, 4)
    accumulators = Conv2d(filters, layer.bias, stride=4)(SAMPLES[0])
    rows = np.moveaxis(accumulators, 1, -1).reshape(4, 6, -1)
    expected = requantized(layer.requantizer, rows)
    np.testing.assert_array_equal(network.trace(SAMPLES[0])["patches"].data, expected)
    assert layer.requantizer.y == Int(16)


def test_hawq_says_what_it_leaves_in_float():
    network = IntegerViT.design(small_vit(), SCHEMES["hawq"], SAMPLES)
    assert not network.is_integer_only
    assert {place.rpartition(".")[2] for place, units in network.units.items() if not units} == {
        "norm", "norm1", "norm2", "p", "gelu"
    }  # fmt: skip


# On the digits ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def judged():
    """Logits of the twin, and those of a scheme at given widths."""
    model, data = ViT.load("digits-vit"), digits(held_out=True).choose(180)
    calibration = [digits(held_out=False).choose(128).pixels()]
    real = logits_of(lambda pixels: model.real(pixels)["logits"], data)

    def figures(scheme):
        network = IntegerViT.design(model, scheme, calibration)
        return evaluate(real, logits_of(lambda pixels: network(pixels).decode(), data), data.classes)

    return figures


def test_the_twin_recognises_digits_it_has_never_seen():
    data = digits(held_out=True)
    answers = ViT.load("digits-vit").real(data.pixels())["logits"].argmax(axis=1)
    assert len(data) == 360
    assert (answers == data.classes).mean() >= 0.94


@pytest.mark.parametrize("name", list(SCHEMES))
def test_every_scheme_keeps_the_digits_at_8_bits(judged, name):
    found = judged(SCHEMES[name])
    assert found["difference"]["top1"]["mean"] >= -0.02
    assert found["same"]["mean"] >= 0.97


def test_fewer_bits_lose(judged):
    narrow = ivit.replace(bits=dataclasses.replace(ivit.bits, weight=4, activation=4), weight_limits=(-7, 7))
    assert judged(narrow)["same"]["mean"] < judged(ivit)["same"]["mean"]
