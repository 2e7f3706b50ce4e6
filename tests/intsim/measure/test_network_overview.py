"""The tables of what every scheme puts where."""

import dataclasses

from intsim.measure.network import overview
from intsim.schemes import SCHEMES, Bits, Operator


def rows(text):
    """Cells of a Markdown table by the name in its first column."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    return lines[0], {line[0].strip("*`"): line[1:] for line in lines[2:]}


def test_every_scheme_stands_in_every_table():
    for made in (overview.float_table, overview.operator_table, overview.width_table):
        assert list(rows(made())[1]) == list(SCHEMES)


def test_widths_are_the_schemes():
    head, found = rows(overview.width_table())
    assert head[1:] == [field.name for field in dataclasses.fields(Bits)]
    for name, cells in found.items():
        assert cells == [str(getattr(SCHEMES[name].bits, field)) for field in head[1:]]


def test_operators_are_shown_with_their_options():
    head, found = rows(overview.operator_table())
    for name, cells in found.items():
        for part, cell in zip(head[2:], cells[1:], strict=True):
            chosen = getattr(SCHEMES[name], part)
            if isinstance(chosen, Operator):
                assert cell.startswith(f"`{chosen.unit}`")
                assert cell.count("=") == len(chosen.options)
            elif chosen is None:
                assert cell == "–"


def test_what_a_paper_leaves_in_float_has_an_answer():
    _, found = rows(overview.float_table())
    for name, cells in found.items():
        answers = [] if cells[-1] == "nothing" else cells[-1].split("; ")
        assert [answer.partition(": ")[0] for answer in answers] == list(SCHEMES[name].left_in_float)


def test_formats_by_place_follow_the_widths():
    head, found = rows(overview.place_table())
    position = {"0.q": "activation", "0.proj": "residual", "0.up": "gelu", "0.gelu": "activation"}
    for place, field in position.items():
        for name, cell in zip(head[1:], found[place], strict=True):
            assert int(cell.removesuffix(" f").lstrip("su").partition(".")[0]) == getattr(SCHEMES[name].bits, field)
    floats = {place for place, cells in found.items() if any(cell.endswith(" f") for cell in cells)}
    assert floats == {"0.norm1", "0.norm2", "0.p", "0.gelu", "norm"}  # of hawq
