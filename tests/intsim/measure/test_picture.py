"""Pictures: written whole, the same every time, refused with a remedy."""

import numpy as np
import pytest

from intsim.errors import IntsimError
from intsim.formats import Fixed
from intsim.measure import picture
from intsim.tables import NLI, Uniform

UNIT = NLI.design("silu", Fixed(10, 6), Fixed(12, 8), intervals=4, bins=8, solver="equal")


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")])
def test_files_are_the_same_every_time(tmp_path, suffix, start):
    first = picture(UNIT, tmp_path / f"a{suffix}")
    second = picture(UNIT, tmp_path / f"b{suffix}")
    assert first.read_bytes().startswith(start)
    assert first.read_bytes() == second.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"a{suffix}", f"b{suffix}"]


def test_the_svg_shows_names_and_cut_points(tmp_path):
    plain = Uniform.design("silu", Fixed(10, 6), Fixed(12, 8), segments=16)
    with_cuts, without = (picture(u, tmp_path / f"{u.name}.svg").read_text() for u in (UNIT, plain))
    grey = "stroke: #8d99ae"
    assert with_cuts.count(grey) == 2 * len(UNIT.cuts)  # in both panels
    assert without.count(grey) == 0


def test_another_unit_gives_another_picture(tmp_path):
    words = np.array(UNIT.table)
    words[10] += 9
    from dataclasses import replace

    other = replace(UNIT, table=tuple(words.tolist()))
    assert picture(UNIT, tmp_path / "a.png").read_bytes() != picture(other, tmp_path / "b.png").read_bytes()


def test_refusals(tmp_path):
    from dataclasses import replace

    with pytest.raises(IntsimError, match=r"ends in \.png, \.svg or \.pdf"):
        picture(UNIT, tmp_path / "a.jpeg")
    with pytest.raises(IntsimError, match="approximates no function"):
        picture(replace(UNIT, fn=None), tmp_path / "a.png")
    with pytest.raises(IntsimError, match="choose a folder you can write to"):
        picture(UNIT, tmp_path / "missing" / "a.png")
    assert list(tmp_path.iterdir()) == []
