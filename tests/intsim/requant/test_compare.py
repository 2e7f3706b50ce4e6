"""Where conventions differ: counts against a count made here, smallest counter-examples, refusals, the picture."""

import json

import numpy as np
import pytest

from intsim import IntsimError, UnknownName
from intsim.cli.app import run
from intsim.requant import CONVENTIONS, compare
from intsim.requant.conventions import from_scales, scale_rule


def test_two_roundings_against_one():
    found = compare("tflite_double", "tflite_single", count=1 << 16)
    assert found.smallest == (1, 1 << 30, -1, 1, 0)
    assert found.largest == 1
    assert 0 < found.differing < found.compared == 1 << 16
    # a second rounding exists only above 31 bits
    assert all(differing == 0 for shift, (_, differing) in found.by_shift.items() if shift <= 31)
    assert sum(compared for compared, _ in found.by_shift.values()) == found.compared
    assert "smallest: acc 1, multiplier 1073741824, shift -1 gives 1 and 0" in str(found)


def test_differing_inputs_are_reported_with_both_results():
    found = compare("tvm_truncate", "tvm_upward", count=1 << 12)
    acc, multiplier, shift, a, b = found.inputs
    assert acc.size == found.differing > 1000
    np.testing.assert_array_equal(CONVENTIONS["tvm_truncate"](acc, multiplier, shift), a)
    np.testing.assert_array_equal(CONVENTIONS["tvm_upward"](acc, multiplier, shift), b)
    assert np.all(a != b)


@pytest.mark.parametrize(
    ("a", "b"),
    [("tflite_double", "cmsis_double"), ("tflite_double", "tosa_double"), ("tflite_single", "ruy"), ("hawq", "ibert"),
     ("tflite_int64", "cmsis_int64"), ("gemmlowp", "tflite_double"), ("fbgemm_fixed", "xnnpack_rndnu"),
     ("qnnpack_fp32", "xnnpack_fp32"), ("tvm_truncate", "pulp_rqs")],
)  # fmt: skip
def test_names_of_one_function(a, b):
    found = compare(a, b, count=1 << 14)
    assert (found.differing, found.smallest) == (0, None)


def test_the_share_of_a_given_distribution():
    rng = np.random.default_rng(0)
    acc = rng.normal(0, 2**18, 50000).astype(np.int32)
    found = compare("tvm_truncate", "tvm_upward", acc=acc, scale=3.1e-4)
    m, k = scale_rule("tvm_truncate")(3.1e-4)
    want = np.mean(CONVENTIONS["tvm_truncate"](acc, m, 31 - k) != CONVENTIONS["tvm_upward"](acc, m, 31 - k))
    assert found.share == want
    assert 0.45 < want < 0.55  # the fraction is above one half about half of the time
    assert found.compared == acc.size


def test_a_float_scale_against_an_integer_multiplier():
    found = compare("xnnpack_fp32", "tflite_double", count=1 << 14, zero_point=3, lo=-100, hi=100)
    assert found.ports == ("acc", "scale")
    acc, scale, a, b = found.smallest
    assert CONVENTIONS["xnnpack_fp32"](acc, np.float32(scale), 3, -100, 100) == a
    assert np.clip(from_scales("tflite_double", scale)(acc) + 3, -100, 100) == b
    assert a != b


def test_64_bit_accumulators_and_the_clamp():
    wide = compare("tflite_int64", "cmsis_int64", count=4096)
    assert wide.compared == 4096
    clamped = compare("tflite_double", "tflite_single", count=1 << 14, lo=-1, hi=0)
    assert clamped.differing < compare("tflite_double", "tflite_single", count=1 << 14).differing


def test_refusals():
    with pytest.raises(UnknownName, match="tflite_single"):
        compare("tflite_sngle", "ruy")
    with pytest.raises(IntsimError, match="give scale="):
        compare("onnx", "ruy", multiplier=1)
    with pytest.raises(IntsimError, match="constants built in"):
        compare(from_scales("ruy", 0.5), "ruy")
    with pytest.raises(IntsimError, match="do not fit together"):
        compare("hawq", "ruy", acc=[1, 2], multiplier=[1, 2, 3], shift=0)


@pytest.mark.parametrize("pair", [("tflite_double", "tflite_single"), ("ruy", "tflite_single"), ("onnx", "ruy")])
def test_the_picture(tmp_path, pair):
    path = tmp_path / "difference.svg"
    compare(*pair, count=4096).picture(path)
    text = path.read_text()
    assert len(text) > 5000
    assert text.rstrip().endswith("</svg>")
    with pytest.raises(IntsimError, match="cannot write the picture"):
        compare(*pair, count=64).picture(tmp_path / "no" / "such.svg")


def test_the_command(tmp_path, capsys):
    picture = tmp_path / "p.png"
    assert run(["requant-diff", "tflite_double", "tflite_single", "--count", "4096", "--json", "-o", str(picture)]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["smallest"] == {"acc": 1, "multiplier": 1 << 30, "shift": -1, "tflite_double": 1, "tflite_single": 0}
    assert found["differing"] == sum(found["by_shift"].values()) > 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert run(["requant-diff", "tflite_single", "ruy", "--count", "4096"]) == 0
    assert "No difference found" in capsys.readouterr().out
    assert run(["requant-diff", "tflite_single", "ruyy"]) == 2
    assert "did you mean 'ruy'" in capsys.readouterr().err


def test_the_command_on_a_layers_accumulators(tmp_path, capsys):
    path = tmp_path / "acc.npy"
    np.save(path, np.arange(-5000, 5000, dtype=np.int32))
    assert run(["requant-diff", "tvm_truncate", "ruy", "--acc", str(path), "--scale", "0.01", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["compared"] == 10000
    assert 0.4 < found["share"] < 0.6
