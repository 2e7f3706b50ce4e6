"""Vectors between layers: whoever has the files alone computes the same integers from them."""

import json

import numpy as np
import pytest
from small_bert import bert_folder, write_pairs

from intsim.errors import IntsimError
from intsim.measure.network import Data, open_task, read_vectors, write_vectors
from intsim.measure.network.record import record
from intsim.measure.network.vectors import hex_words
from intsim.schemes import SCHEMES


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vectors")
    return open_task(str(bert_folder(folder / "bert")), Data(pairs=write_pairs(folder / "pairs.tsv")))


def requantised(unit, acc):
    return unit(acc, np.arange(acc.shape[-1])) if len(unit.channels) > 1 else unit(acc)


def recomputed(found, layer):
    """The codes of a layer of a static scheme from the files: NumPy's integers, and the units in JSON."""
    place, inputs = layer["place"], [found.tensor(name).data.astype(np.int64) for name in layer["inputs"]]
    constants, units = found.constants(place), found.units(place)
    match layer["layer"]:
        case "Linear":
            return requantised(units[0], inputs[0] @ constants["weight"].astype(np.int64) + constants["bias"])
        case "Attention":
            requantizer, softmax = units
            codes = requantised(requantizer, inputs[0] @ inputs[1].swapaxes(-1, -2))
            return softmax(codes, *(np.ones_like(codes, dtype=np.uint8) for _ in list(softmax.inputs)[1:]))
        case "Narrow":
            return requantised(units[0], inputs[0])
        case "Product":
            return requantised(units[0], inputs[0] @ inputs[1])
        case "Rescaled":
            y = np.asarray(units[0](inputs[0])).astype(np.int64)
            turned = y * np.array(constants["signs"]) >> constants["drop"]
            return requantised(units[1], np.clip(turned, -(2**31), 2**31 - 1))
        case "Residual":
            return units[0](*inputs)
    raise AssertionError(layer["layer"])


@pytest.mark.parametrize("name", ["ibert", "ivit", "nli"])
def test_every_layer_follows_from_the_files_alone(task, tmp_path, name):
    network = task.design(SCHEMES[name])
    write_vectors(network, task.probe[0][:1], tmp_path)
    found = read_vectors(tmp_path)
    layers = found.manifest["layers"]
    assert [layer["place"] for layer in layers] == list(network.layers)
    assert len(layers) >= 1 + 2 * 12
    for layer in layers:
        wanted = found.tensor(layer["output"]).data
        got = recomputed(found, layer)
        assert got.shape == wanted.shape, layer["place"]
        assert np.array_equal(got, wanted), layer["place"]


@pytest.mark.parametrize("name", ["illm", "hawq", "ivit"])
def test_what_is_read_is_what_passed_through_the_network(task, tmp_path, name):
    network = task.design(SCHEMES[name])
    write_vectors(network, task.probe[0], tmp_path)
    found, run = read_vectors(tmp_path), record(network, task.probe[0])
    for place, tensor in run.tensors.items():
        read = found.tensor(place)
        for part in ("data", "m", "k", "zero_point"):
            assert np.array_equal(*np.broadcast_arrays(getattr(read, part), getattr(tensor, part))), (place, part)
    for layer, call in zip(found.manifest["layers"], run.calls, strict=True):
        assert layer["place"] == call.place
        inputs = [found.tensor(tensor) for tensor in layer["inputs"]]
        again = network.layers[call.place](*inputs)
        wanted = found.tensor(layer["output"])
        for part in ("data", "m", "k", "zero_point"):
            assert np.array_equal(*np.broadcast_arrays(getattr(again, part), getattr(wanted, part))), call.place
        assert found.units(call.place) == call.layer.units
    assert found.manifest["integer_only"] == (name != "hawq")
    assert np.array_equal(found.tensor("input").data, task.probe[0])


def test_hex_words_are_the_codes_in_their_format(task, tmp_path):
    write_vectors(task.design(SCHEMES["ibert"]), task.probe[0][:1], tmp_path)
    found = read_vectors(tmp_path)
    entries = [e for e in found.manifest["tensors"].values()]
    entries += [v for layer in found.manifest["layers"] for v in layer["constants"].values() if isinstance(v, dict)]
    assert {entry["bits"] for entry in entries} >= {8, 16, 22}
    for entry in entries:
        codes = np.load(tmp_path / entry["file"]).reshape(-1).tolist()
        lines = (tmp_path / entry["hex"]).read_text().split()
        assert len(lines) == len(codes)
        assert {len(line) for line in lines} == {-(-entry["bits"] // 4)}
        for line, code in zip(lines, codes, strict=True):
            word = int(line, 16)
            if entry["signed"] and word >> (entry["bits"] - 1):
                word -= 1 << entry["bits"]
            assert word == code


@pytest.mark.parametrize("bits", [1, 4, 7, 22, 33, 64])
def test_hex_words_against_pythons_own_formatting(bits):
    rng = np.random.default_rng(bits)
    codes = rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), 50, dtype=np.int64)
    mask = (1 << bits) - 1
    wanted = "".join(f"{int(code) & mask:0{-(-bits // 4)}x}\n" for code in codes)
    assert hex_words(codes, bits) == wanted.encode()


def test_changed_and_missing_files_are_refused(task, tmp_path):
    write_vectors(task.design(SCHEMES["ivit"]), task.probe[0][:1], tmp_path)
    target = tmp_path / "0.up.npy"
    content = target.read_bytes()
    target.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(IntsimError, match=r"0\.up\.npy was changed"):
        read_vectors(tmp_path)
    target.unlink()
    with pytest.raises(IntsimError, match="no vectors"):
        read_vectors(tmp_path)
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "intsim_vectors": 0}))
    with pytest.raises(IntsimError, match="another schema"):
        read_vectors(tmp_path)
    with pytest.raises(IntsimError, match="no vectors"):
        read_vectors(tmp_path / "nowhere")


def test_all_files_or_none(task, tmp_path):
    network = task.design(SCHEMES["ivit"])
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(IntsimError, match="choose another path"):
        write_vectors(network, task.probe[0][:1], tmp_path / "file")
    broken = [100_000] * 3  # no such tokens
    with pytest.raises((IntsimError, IndexError)):
        write_vectors(network, np.array([broken]), tmp_path / "out")
    assert not (tmp_path / "out").exists()
