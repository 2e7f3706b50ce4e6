"""The mutation page: every unit of the catalogue is on it, measured on the RTL as it is now, and above 95 %."""

from collections import Counter
from pathlib import Path

import pytest

from hdl.flow.mutation import mutate
from hdl.flow.mutation.faults import KINDS
from hdl.flow.mutation.page import page
from hdl.flow.mutation.record import campaign, load, measure
from intsim import catalogue

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"
VERDICTS = ("killed", "equivalent", "missed", "unexplained")


@pytest.fixture(scope="module")
def record():
    return load(REFERENCE / "mutation.json")


def test_the_page_is_made_of_the_record(record):
    assert (REFERENCE / "mutation.md").read_text() == page(record)


def test_every_unit_was_measured_as_it_is_now(record):
    """Where this fails, ``python -m hdl.flow.mutation`` measures the units that changed."""
    changed = [m.name for m in campaign() if m.name in record and record[m.name]["rtl"] != m.digest]
    assert changed == []
    measured = [name for name, entry in record.items() if entry["section"] == "catalogue"]
    assert measured == list(catalogue.names())
    assert all(record[name]["sha256"] == catalogue.get(name).sha256 for name in measured)


def test_95_percent_of_what_differs_is_noticed(record):
    below = {name: entry["share"] for name, entry in record.items() if entry["share"] < 0.95}
    assert not set(below) & set(catalogue.names())


def test_the_counts_are_those_of_the_faults(record):
    for name, entry in record.items():
        for kind in (*KINDS, None):
            counts = entry if kind is None else entry["kinds"][kind]
            survivors = Counter(s["verdict"] for s in entry["survivors"] if kind in (None, s["kind"]))
            assert counts["mutants"] == counts["killed"] + survivors.total(), name
            assert {verdict: counts[verdict] for verdict in VERDICTS[1:]} == {v: survivors[v] for v in VERDICTS[1:]}
        assert entry["mutants"] == sum(counts["mutants"] for counts in entry["kinds"].values())
        assert entry["share"] == round(entry["killed"] / (entry["mutants"] - entry["equivalent"]), 4)


def test_every_kind_of_fault_occurs_and_most_are_killed(record):
    for kind in KINDS:
        mutants, killed, equivalent = (
            sum(entry["kinds"][kind][count] for entry in record.values())
            for count in ("mutants", "killed", "equivalent")
        )
        assert mutants >= 100, kind
        assert killed >= 0.85 * (mutants - equivalent) > 0, kind


@pytest.mark.parametrize("name", ["uniform_tanh", "range_reduced_reciprocal_f16"])
def test_a_few_other_faults_of_small_units(name):
    found = mutate(catalogue.get(name), mutants=10, seed=2)
    assert found["exhaustive"]
    assert found["killed"] >= 15
    assert found["share"] >= 0.95, found["survivors"]


@pytest.mark.full
def test_what_is_measured_again_is_the_same(record):
    member = next(m for m in campaign() if m.name == "uniform_silu")
    again = measure(member)
    ignored = ("seconds", "tools")
    kept = {name: value for name, value in record[member.name].items() if name not in ignored}
    assert {name: value for name, value in again.items() if name not in ignored} == kept
