"""Errors by place: against figures computed here by hand, and what a picture shows of them."""

import numpy as np
import pytest
from small_bert import bert_folder, write_pairs

from intsim.errors import IntsimError
from intsim.formats.quantized import Quantized
from intsim.measure.network import Data, by_place, draw_places, open_task, with_bits
from intsim.measure.network.places import condensed
from intsim.measure.network.record import record
from intsim.models.real.bert import layer_norm
from intsim.schemes import SCHEMES


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    folder = tmp_path_factory.mktemp("places")
    return open_task(str(bert_folder(folder / "bert")), Data(pairs=write_pairs(folder / "pairs.tsv")))


def decibels(real, got):
    return 10 * np.log10(np.square(real).sum() / np.square(got - real).sum())


@pytest.mark.parametrize("name", SCHEMES)
def test_every_place_against_the_twin(task, name):
    network = task.design(SCHEMES[name])
    places = by_place(task.model, network, task.probe)
    batches = [(task.model.real(tokens), network.trace(tokens)) for tokens in task.probe]
    assert list(places) == ["embedding", *network.layers]
    for place, found in places.items():
        twin = place.removesuffix("_narrow")
        real = np.concatenate([r[twin].astype(float).reshape(-1) for r, _ in batches])
        got = np.concatenate([t[place].decode().reshape(-1) for _, t in batches])
        assert found["decibels"] == pytest.approx(decibels(real, got), abs=1e-6), place
        rows = [
            decibels(a, b)
            for r, t in batches
            for a, b in zip(
                *(v.reshape(-1, v.shape[-1]) for v in (r[twin].astype(float), t[place].decode())), strict=True
            )
        ]
        assert found["worst_token"] == pytest.approx(min(rows), abs=1e-6), place
        assert found["worst_token"] <= found["decibels"] + 1e-9
        assert found["values"] == real.size


def test_an_operator_alone_has_the_error_of_its_own_inputs_only(task):
    """HAWQ's norm is in float: alone it has the error of encoding the twin's sum and its result."""
    network = task.design(SCHEMES["hawq"])
    found = by_place(task.model, network, task.probe[:1])["0.norm1"]
    real, run = task.model.real(task.probe[0]), network.trace(task.probe[0])
    scale = np.ldexp(float(run["0.sum1"].m), -int(run["0.sum1"].k))
    codes = np.rint(real["0.sum1"] / scale)
    norm = layer_norm(codes * scale, *task.model.blocks[0].norm["norm1"], task.model.eps)
    layer = network.layers["0.norm1"]
    most = 2 ** (layer.bits - 1) - 1
    got = np.clip(np.rint(norm / layer.scale), -most - 1, most) * layer.scale
    assert found["alone"] == pytest.approx(decibels(real["0.norm1"].astype(float), got), abs=0.1)
    assert found["alone"] > found["decibels"]


def test_heads_that_are_split_and_merged_stand_where_they_belong(task):
    """q has its heads split behind the layer, context has them merged: alone both are as good as 8 bits are."""
    for name in ("ivit", "illm"):
        places = by_place(task.model, task.design(SCHEMES[name]), task.probe)
        for place in ("0.q", "0.v", "1.context", "1.proj"):
            assert places[place]["alone"] > 25, (name, place)


def test_clipped_codes_are_counted_where_the_accumulator_says_so(task):
    """A percentile below 100 cuts the tails; the count is that of exact integer arithmetic."""
    network = task.design(SCHEMES["ivit"], percentile=90)
    places = by_place(task.model, network, task.probe)
    count = values = 0
    for tokens in task.probe:
        (call,) = (c for c in record(network, tokens).calls if c.place == "0.up")
        acc = call.inputs[0].data.astype(np.int64) @ call.layer.weight.values() + call.layer.bias
        for column, (factor, amount, addend) in enumerate(call.layer.requantizer.constants):
            assert amount > 0
            assert addend == 0
            for value in acc[..., column].reshape(-1).tolist():
                doubled = value * factor * 2
                floor, rest = doubled >> (amount + 1), doubled & ((1 << (amount + 1)) - 1)
                tie = 1 << amount
                exact = floor + (rest > tie or (rest == tie and floor % 2 == 1))
                count += not -128 <= exact <= 127
                values += 1
    assert places["0.up"]["clipped"] == count / values
    assert count > 10
    assert places["0.up"]["at_ends"] >= places["0.up"]["clipped"]
    assert by_place(task.model, task.design(SCHEMES["ivit"]), task.samples)["0.up"]["clipped"] < count / values


def test_scores_are_counted_at_the_softmax_and_sums_at_the_residual(task):
    narrow = with_bits(SCHEMES["ibert"], "w8a8", residual=8)
    places = by_place(task.model, task.design(narrow, percentile=80), task.probe)
    assert places["1.p"]["clipped"] > 0
    assert places["0.sum1"]["clipped"] > 0
    assert places["embedding"]["clipped"] is None
    assert by_place(task.model, task.design(SCHEMES["illm"]), task.probe)["0.up"]["clipped"] is None


def test_hazards_that_differ_in_numbers_only_are_one_line():
    found = condensed(["channel 0: reaches 7, use 8 bits", "channel 1: reaches -9, use 8 bits", "another"])
    assert found == ["channel 0: reaches 7, use 8 bits (and 1 more like it)", "another"]


def test_every_hazard_of_every_unit_is_reported(task):
    network = task.design(SCHEMES["ivit"])
    places = by_place(task.model, network, task.probe[:1])
    for place, units in network.units.items():
        wanted = condensed(str(h) for unit in units for h in unit.hazards())
        assert places[place]["hazards"] == wanted
    assert any(found["hazards"] for found in places.values())
    dynamic = task.design(SCHEMES["illm"])  # whose units hold no scale of a row
    assert any(unit.hazards() for units in dynamic.units.values() for unit in units)
    assert not any(found["hazards"] for found in by_place(task.model, dynamic, task.probe[:1]).values())


def test_the_picture_names_every_place_and_kind(task, tmp_path):
    places = by_place(task.model, task.design(SCHEMES["ivit"], percentile=90), task.probe)
    path = draw_places(places, tmp_path / "places.svg", "small, ivit w8a8")
    source = path.read_text()
    for text in ("small, ivit w8a8", "embedded", "context", "softmax", "residual", "block 1", "worst token"):
        assert f"<!-- {text}" in source or f"{text}" in source, text
    assert draw_places(places, tmp_path / "again.svg", "small, ivit w8a8").read_bytes() == path.read_bytes()
    with pytest.raises(IntsimError, match=r"\.svg, \.png or \.pdf"):
        draw_places(places, tmp_path / "places.gif", "small")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.svg", "places.svg"]


def test_a_recording_is_the_run_itself(task):
    network = task.design(SCHEMES["illm"])
    run = record(network, task.probe[0])
    plain = network.trace(task.probe[0])
    assert [call.place for call in run.calls] == list(network.layers)
    for place, tensor in plain.items():
        assert np.array_equal(tensor.data, run.tensors[place].data), place
    for call in run.calls:
        again = call.layer(*call.inputs)
        assert isinstance(again, Quantized)
        assert np.array_equal(again.data, call.output.data), call.place
    assert run.place_of(run.tensors["0.up"]) == "0.up"
    assert run.place_of(Quantized(run.tensors["0.up"].data.copy())) is None
