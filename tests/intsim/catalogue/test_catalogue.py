"""The stored units: found by name, as accurate as stated, and designed again to the same integers."""

import subprocess
import sys

import numpy as np
import pytest

from intsim import catalogue
from intsim.catalogue import design
from intsim.catalogue.entries import ENTRIES
from intsim.catalogue.paper_entries import PAPER_ENTRIES
from intsim.errors import UnknownName
from intsim.measure import error
from intsim.tables import NLI, functions


def test_every_entry_is_stored_and_every_function_has_its_engine():
    assert set(ENTRIES) <= set(catalogue.names())
    assert {f"nli_{fn}" for fn in functions.names()} <= set(catalogue.names())


# The 16-bit fixed-point engines and their baselines; tables of the papers' own kinds have tests beside their units.
ENGINES = [name for name in ENTRIES if name not in PAPER_ENTRIES]


@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_a_stored_unit_is_complete(name):
    assert catalogue.path_of(name).read_text() == catalogue.get(name).to_json()


@pytest.mark.parametrize("name", ENGINES)
def test_a_stored_engine_is_what_its_name_says(name):
    unit = catalogue.get(name)
    assert unit.name == name
    assert unit.origin


def test_bare_function_names_and_unknown_ones():
    assert catalogue.get("silu") is catalogue.get("nli_silu")
    with pytest.raises(UnknownName, match="did you mean 'silu'"):
        catalogue.get("sylu")
    with pytest.raises(UnknownName, match="did you mean 'uniform_exp'"):
        catalogue.get("uniform_expo")


def test_listing_is_quick_and_compiles_nothing():
    """Names need no unit, a unit needs no Numba, and neither needs matplotlib."""
    code = (
        "import sys; from intsim import catalogue; catalogue.names(); assert 'intsim.tables' not in sys.modules; "
        "catalogue.get('gelu'); assert not {'numba', 'matplotlib'} & set(sys.modules); print('light')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "light", done.stderr


# Mean and maximum error in units of the last place, over every code of the domain, and the share of outputs that
# are correctly rounded. The figures of the documentation; a table that changes must change them here too.
FIGURES: dict[str, tuple[float, float, float]] = {
    "nli_cos": (0.789, 2.52, 0.356),
    "nli_erf": (0.248, 1.36, 0.859),
    "nli_exp": (0.229, 1.10, 0.904),
    "nli_gelu": (0.152, 0.95, 0.938),
    "nli_gelu_tanh": (0.145, 0.97, 0.946),
    "nli_hardswish": (0.102, 0.94, 0.953),
    "nli_log2": (0.280, 1.01, 0.865),
    "nli_mish": (0.252, 0.93, 0.896),
    "nli_reciprocal": (0.275, 1.02, 0.872),
    "nli_rsqrt": (0.275, 0.98, 0.871),
    "nli_sigmoid": (0.429, 2.20, 0.654),
    "nli_silu": (0.280, 1.00, 0.861),
    "nli_sin": (0.673, 3.45, 0.447),
    "nli_softplus": (0.276, 1.00, 0.883),
    "nli_sqrt": (0.277, 0.98, 0.866),
    "nli_tanh": (0.429, 2.20, 0.654),
    "uniform_exp": (0.843, 16.17, 0.744),
    "uniform_gelu": (0.237, 2.12, 0.830),
    "uniform_reciprocal": (0.306, 1.03, 0.801),
    "uniform_sigmoid": (0.801, 3.80, 0.491),
    "uniform_silu": (0.344, 1.67, 0.756),
    "uniform_tanh": (0.801, 3.80, 0.491),
}


@pytest.mark.parametrize("name", sorted(FIGURES))
def test_error_over_the_whole_domain(name):
    figures = error(catalogue.get(name))
    assert figures.complete
    mean, most, right = FIGURES[name]
    assert figures.mean_lsb == pytest.approx(mean, abs=0.0006)
    assert figures.max_lsb == pytest.approx(most, abs=0.006)
    assert figures.correctly_rounded == pytest.approx(right, abs=0.0006)


def test_figures_are_complete():
    assert set(FIGURES) == set(ENGINES)


@pytest.mark.parametrize("fn", functions.names())
def test_engines_fit_two_multipliers_and_lose_less_than_a_quarter_of_a_step(fn):
    """18 x 18 signed multipliers; scales and positions cut off cost at most 1/4 beside the rounding of 1/2."""
    unit = catalogue.get(fn)
    assert isinstance(unit, NLI)
    assert (unit.intervals, unit.bins, len(unit.table)) == (10, 32, 259)
    widths = unit.widths
    assert max(widths["dx"], widths["mantissa"], widths["t"]) <= 17
    assert widths["step"] <= 18
    knots = [unit.cuts[0], *np.concatenate([np.linspace(a, b, 33)[:-1] for a, b in inner(unit)]), *unit.cuts[-2:]]
    codes = unit.x.codes()
    assert np.abs(unit(codes) - np.interp(codes, knots, unit.table)).max() <= 0.75


def inner(unit):
    return list(zip(unit.cuts[1:-2], unit.cuts[2:-1], strict=True))


@pytest.mark.parametrize("name", ["uniform_silu", "uniform_exp"])
def test_cheap_entries_are_designed_to_the_same_file(name, tmp_path, monkeypatch):
    monkeypatch.setattr(design, "path_of", lambda name: tmp_path / f"{name}.json")
    assert design.main([name]) == 0
    assert (tmp_path / f"{name}.json").read_bytes() == catalogue.path_of(name).read_bytes()


def test_one_engine_is_designed_to_the_same_file():
    assert ENTRIES["nli_exp"]().to_json() == catalogue.path_of("nli_exp").read_text()


@pytest.mark.full
@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_every_entry_is_designed_to_the_same_file(name):
    assert ENTRIES[name]().to_json() == catalogue.path_of(name).read_text()


def test_designing_an_unknown_entry(capsys):
    assert design.main(["nli_silo"]) == 2
    assert "did you mean 'nli_silu'" in capsys.readouterr().err


@pytest.mark.parametrize("name", [None, 3])
def test_a_name_is_a_text(name):
    with pytest.raises(UnknownName, match=f"unknown unit {name}"):
        catalogue.get(name)
