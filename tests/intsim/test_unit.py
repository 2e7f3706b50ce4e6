"""The unit protocol: what every unit does before and after its own arithmetic."""

import json
from dataclasses import dataclass

import numpy as np
import pytest

import intsim
from intsim import DtypeError, Fixed, Hazard, Int, IntsimError, Unit, UnknownName
from intsim.exact import exact, plain, run
from intsim.parameters import note


@exact
def add_all(a, b, k, out):
    for i in range(a.size):
        out[i] = a[i] + b[i] + k


@dataclass(frozen=True)
class OffsetAdder(Unit):
    """a + b + k, on two ports."""

    k: int = 0
    remark: str | None = note()

    @property
    def inputs(self):
        return {"a": Int(8), "b": Fixed(6, 2, signed=False)}

    @property
    def outputs(self):
        return {"sum": Int(10)}

    def _evaluate(self, a, b):
        out = np.empty(a.shape, dtype=np.int16)
        run(add_all, a.astype(np.int64), b.astype(np.int64), self.k, out)
        return {"sum": out}


@dataclass(frozen=True)
class RowRange(Unit):
    """Smallest and largest of a row, and the row with its first element repeated."""

    max_row: int = 8

    @property
    def inputs(self):
        return {"x": Int(8)}

    @property
    def outputs(self):
        return {"lo": Int(8), "y": Int(8)}

    def _evaluate(self, x):
        return {"lo": x.min(axis=1), "y": np.repeat(x[:, :1], x.shape[1], axis=1)}


# Calling --------------------------------------------------------------------------------------------------------


def test_shapes_broadcast_and_come_back():
    unit = OffsetAdder(3)
    assert unit(1, 2) == 6
    assert np.shape(unit(1, 2)) == ()
    np.testing.assert_array_equal(unit([[1], [2]], [10, 20, 30]), [[14, 24, 34], [15, 25, 35]])
    assert unit(np.array([1], dtype=np.int64), 0).dtype == np.int16


def test_uncompiled_gives_the_same():
    a, b = np.arange(-128, 128, dtype=np.int8), np.arange(64, dtype=np.uint8)
    grid = a[:, None], b[None, :]
    with plain():
        expected = OffsetAdder(-5)(*grid)
    np.testing.assert_array_equal(OffsetAdder(-5)(*grid), expected)
    assert expected.shape == (256, 64)


def test_the_callers_arrays_are_not_changed():
    a = np.array([1, 2, 3], dtype=np.int8)
    OffsetAdder(1)(a, a.astype(np.uint8))
    assert a.tolist() == [1, 2, 3]


def test_trace_gives_inputs_first_and_outputs_last():
    nets = OffsetAdder(1).trace([1, 2], 3)
    assert list(nets) == ["a", "b", "sum"]
    assert nets["sum"].tolist() == [5, 6]
    assert nets["b"].tolist() == [3, 3]


def test_row_units_take_rows_and_give_one_value_or_one_row_per_row():
    unit = RowRange()
    assert unit.is_row
    assert not OffsetAdder().is_row
    x = np.arange(12, dtype=np.int8).reshape(2, 2, 3)
    lo, y = unit(x)
    assert lo.tolist() == [[0, 3], [6, 9]]
    assert y.shape == x.shape
    lo, y = unit(x[0, 0])
    assert lo == 0
    assert y.tolist() == [0, 0, 0]
    with pytest.raises(
        IntsimError, match=r"rowrange works on rows; give arrays of shape \(..., n\), got a single value"
    ):
        unit(3)


@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        (([1],), IntsimError, r"offsetadder takes 2 inputs \(a, b\), got 1"),
        (([1], [2], [3]), IntsimError, "takes 2 inputs"),
        (([1.0], [2]), DtypeError, "a: expected integer codes of s8, got dtype float64"),
        (([1], [-1]), IntsimError, r"b: -1 is outside u6.2 = \[0, 63\]"),
        (([128], [1]), IntsimError, "a: 128 is outside s8"),
        (([], [1]), IntsimError, "a: empty array"),
        (([1, 2], [1, 2, 3]), IntsimError, r"input shapes do not fit together: a \(2,\), b \(3,\)"),
    ],
)
def test_bad_input_is_refused_with_port_and_bound(arrays, error, message):
    with pytest.raises(error, match=message):
        OffsetAdder()(*arrays)


def test_defaults_of_the_protocol():
    unit = OffsetAdder()
    assert unit.name == "offsetadder"
    assert unit.real(1.0, 2.0) is None
    assert unit.hazards() == ()
    assert str(Hazard("the sum needs 11 bits", "use acc_bits=11")) == "the sum needs 11 bits; use acc_bits=11"
    a, b = unit.corners()
    assert set(a.tolist()) == {-128, -127, -1, 0, 1, 126, 127}
    assert set(b.tolist()) == {0, 1, 62, 63}
    assert len(set(zip(a.tolist(), b.tolist(), strict=True))) == 28
    assert (a.dtype, b.dtype) == (np.int8, np.uint8)


# Files ----------------------------------------------------------------------------------------------------------


def test_json_is_lossless_and_the_notes_travel_with_it():
    unit = OffsetAdder(7, remark="measured")
    back = Unit.from_json(unit.to_json())
    assert back == unit
    assert back.remark == "measured"
    assert back.sha256 == unit.sha256
    assert hash(back) == hash(unit)


def test_the_hash_is_of_what_is_computed():
    assert OffsetAdder(7, remark="a").sha256 == OffsetAdder(7, remark="b").sha256
    assert OffsetAdder(7).sha256 != OffsetAdder(8).sha256


def test_the_text_is_readable_and_stable():
    text = OffsetAdder(7).to_json()
    assert text == OffsetAdder(7).to_json()
    assert text.endswith("\n")
    assert json.loads(text)["sha256"] == OffsetAdder(7).sha256


def test_save_and_load(tmp_path):
    path = tmp_path / "adder.json"
    intsim.save(OffsetAdder(7), path)
    assert intsim.load(path) == OffsetAdder(7)
    assert [p.name for p in tmp_path.iterdir()] == ["adder.json"]


def damaged(change) -> str:
    body = json.loads(OffsetAdder(7).to_json())
    change(body)
    return json.dumps(body)


DAMAGE = {
    "truncated": (OffsetAdder(7).to_json()[:40], "the JSON is damaged"),
    "empty": ("", "the JSON is damaged"),
    "binary": ("\x00\x01", "the JSON is damaged"),
    "a list": ("[1, 2]", "expected an object with the key 'unit'"),
    "a number": ("3", "expected an object with the key 'unit'"),
    "no unit": ("{}", "expected an object with the key 'unit'"),
    "too deep": ("[" * 100_000, "the JSON is damaged"),
    "other schema": (damaged(lambda b: b.update(intsim=99)), "unit schema 99, this version reads 1"),
    "no schema": (damaged(lambda b: b.pop("intsim")), "unit schema None"),
    "a format": (damaged(lambda b: b.update(unit={"type": "Fixed", "bits": 8, "frac": 4})), "the file holds a Fixed"),
    "an integer": (damaged(lambda b: b.update(unit=5)), "the file holds a int"),
    "unknown type": (damaged(lambda b: b["unit"].update(type="OffsetAddr")), "did you mean 'OffsetAdder'"),
    "changed word": (damaged(lambda b: b["unit"].update(k=8)), "damaged unit: sha256 is .*, the file states"),
    "changed hash": (damaged(lambda b: b.update(sha256="0" * 64)), "damaged unit: sha256 is"),
    "no hash": (damaged(lambda b: b.pop("sha256")), "damaged unit: sha256 is .*, the file states None"),
    "wrong kind": (damaged(lambda b: b["unit"].update(k="7")), "damaged unit"),
    "float": (damaged(lambda b: b["unit"].update(k=7.0)), "parameters are integers, found the float 7.0"),
}


@pytest.mark.parametrize(("text", "message"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_unit_is_refused(text, message, tmp_path):
    with pytest.raises(IntsimError, match=message):
        Unit.from_json(text)
    path = tmp_path / "unit.json"
    path.write_text(text)
    with pytest.raises(IntsimError, match=rf"^{path}: .*{message}"):
        intsim.load(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(IntsimError, match=r"cannot read .*missing.json: .*give a unit's JSON file"):
        intsim.load(tmp_path / "missing.json")
    with pytest.raises(IntsimError, match="cannot read"):
        intsim.load(tmp_path)
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(IntsimError, match=r"cannot read .*binary.json"):
        intsim.load(tmp_path / "binary.json")


def test_an_unknown_type_is_a_lookup_error():
    with pytest.raises(UnknownName):
        Unit.from_json(damaged(lambda b: b["unit"].update(type="Nothing")))


@pytest.mark.parametrize("text", [None, 5, b"\xff\xfe\xfd", "[" * 5000], ids=["none", "number", "bytes", "deep"])
def test_what_is_no_text_is_no_unit(text):
    with pytest.raises(IntsimError, match="not a unit"):
        Unit.from_json(text)


def test_only_units_are_saved(tmp_path):
    with pytest.raises(IntsimError, match="only units are saved, got int"):
        intsim.save(5, tmp_path / "x.json")
    assert list(tmp_path.iterdir()) == []


def test_ragged_lists_are_refused():
    with pytest.raises(DtypeError, match="rows of equal length"):
        Int(8).check([[1, 2], [1]])
