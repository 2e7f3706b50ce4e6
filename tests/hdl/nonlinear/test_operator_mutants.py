"""Corners alone notice every changed constant and table word: in the golden model, and in hardware made with it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from operator_units import ELEMENTWISE, ROWS
from operators import mutants, surviving_mutants
from row_inputs import joined, lengths, random_rows

import hdl

UNITS = {**ELEMENTWISE, **ROWS}
FAST = ("shift_exp_coarse", "hardswish")
WITHOUT = ("ivit_layernorm", "di_exp_coarse")  # no constants; none that tells, which every input shows

# `rounding` is a mode, no constant: where nothing is negative, or nothing ties, some modes are one and the same.
SKIPPED = ("max_row", "rounding")


def domains(unit) -> list[tuple[np.ndarray, ...]]:
    """Every input of an elementwise unit; 3000 random rows of each length of a row unit."""
    if unit.is_row:
        rng = np.random.default_rng(0)
        return [random_rows(unit, n, 3000, rng) for n in lengths(unit)]
    grid = np.meshgrid(*(fmt.codes() for fmt in unit.inputs.values()), indexing="ij")
    return [tuple(axis.reshape(-1) for axis in grid)]


def same(unit, other, columns) -> bool:
    rows = len(columns[0])
    return np.array_equal(joined(unit(*columns), rows), joined(other(*columns), rows))


@pytest.mark.parametrize("name", UNITS)
def test_what_corners_do_not_notice_shows_nowhere(name):
    unit = UNITS[name]
    quiet = set(surviving_mutants(unit, SKIPPED))
    everything = domains(unit)
    for label, mutant in mutants(unit, SKIPPED):
        if label in quiet:
            assert all(same(unit, mutant, columns) for columns in everything), label


@pytest.mark.full
@pytest.mark.parametrize("name", ["qans", "db_attn", "db_attn_factored"])
def test_corners_notice_every_word_of_the_reciprocal_that_tells(name):
    """Each word in turn, raised and lowered by one: what the corners leave unnoticed, no random row notices either."""
    unit = ROWS[name]
    words, everything = unit.reciprocal.table, domains(unit)
    noticed = 0
    for place, word in enumerate(words):
        for change in (-1, 1):
            try:
                table = replace(unit.reciprocal, table=(*words[:place], word + change, *words[place + 1 :]))
            except ValueError:
                continue  # no such table: a word leaves its format
            mutant = replace(unit, reciprocal=table)
            seen = not same(unit, mutant, unit.corners())
            assert seen or all(same(unit, mutant, columns) for columns in everything), (place, change)
            noticed += seen
    assert noticed > len(words)


def check_in_hardware(unit, changed) -> None:
    assert changed
    for label, mutant in changed:
        columns = unit.corners()
        rows = len(columns[0])
        got = joined(hdl.flow.model(mutant)(*columns), rows)
        assert np.array_equal(got, joined(mutant(*columns), rows)), label
        assert not np.array_equal(got, joined(unit(*columns), rows)), label


def telling(unit) -> list:
    quiet = surviving_mutants(unit, SKIPPED)
    return [(label, mutant) for label, mutant in mutants(unit, SKIPPED) if label not in quiet and fits(unit, mutant)]


def fits(unit, mutant) -> bool:
    """Whether the mutant has the unit's input ports, and takes its corners; its output may be wider or narrower."""
    if mutant.inputs != unit.inputs:
        return False
    try:
        mutant(*unit.corners())
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("name", FAST)
def test_a_changed_constant_in_hardware(name):
    unit = UNITS[name]
    check_in_hardware(unit, telling(unit)[:1])


@pytest.mark.full
@pytest.mark.parametrize("name", [name for name in UNITS if name not in WITHOUT])
def test_changed_constants_in_hardware(name):
    """The first, the middle and the last constant of every unit that has any, raised or lowered by one."""
    found = telling(UNITS[name])
    check_in_hardware(UNITS[name], [found[0], found[len(found) // 2], found[-1]])
