"""Schemes as files: lossless, readable, validated; the user's own units take part."""

import subprocess
import sys
from dataclasses import dataclass

import pytest
from command_line import intsim

from intsim import IntsimError
from intsim.errors import UnknownName
from intsim.formats import Int
from intsim.nonlinear import Shiftmax
from intsim.schemes import SCHEMES, Bits, Operator, Scheme, StaticScheme, Step, ivit

OWN = '''
from dataclasses import dataclass
import numpy as np
from intsim.formats import Fixed, Int
from intsim.unit import Unit

@dataclass(frozen=True)
class HalfSoftmax(Unit):
    """A softmax that gives the largest half, the others nothing."""
    max_row: int = 64

    @property
    def inputs(self):
        return {"x": Int(8)}

    @property
    def outputs(self):
        return {"y": Fixed(8, 7, signed=False)}

    def _evaluate(self, x):
        return {"y": ((x == x.max(axis=1, keepdims=True)) * 64).astype(np.uint8)}

from intsim.schemes import ivit
unit = HalfSoftmax()
scheme = ivit.replace(softmax=unit)
'''


@dataclass(frozen=True)
class OnesSoftmax(Shiftmax):
    """A unit of a user's own, whose fields are those of its base."""


@pytest.mark.parametrize("name", SCHEMES)
def test_every_scheme_goes_to_files_and_back(name, tmp_path):
    scheme = SCHEMES[name].replace(steps=(Step.of("smooth", strength="1/4"), Step.of("hadamard")))
    for ending in ("toml", "json"):
        scheme.save(tmp_path / f"s.{ending}")
        back = Scheme.load(tmp_path / f"s.{ending}")
        assert back == scheme
        assert type(back) is type(scheme)
    assert SCHEMES[name] != scheme


def test_a_file_is_read_in_a_fresh_process(tmp_path):
    ivit.save(tmp_path / "s.toml")
    code = "import sys; from intsim.schemes import Scheme; print(Scheme.load(sys.argv[1]).softmax)"
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "s.toml"], capture_output=True, text=True, check=True)
    assert "Shiftmax" in done.stdout


def test_a_short_file_takes_defaults():
    text = 'intsim_scheme = 1\ntype = "StaticScheme"\nname = "a"\npaper = "b"\nrequantize = {type = "DIMatMul"}\n'
    scheme = Scheme.from_toml(text + '[softmax]\nunit = "Shiftmax"\n')
    assert isinstance(scheme, StaticScheme)
    assert scheme.softmax == Operator.of(Shiftmax)
    assert scheme.bits == Bits()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[softmax]", "[sofmax]", "'sofmax'; did you mean 'softmax'"),
        ('unit = "Shiftmax"', 'unit = "Shiftmx"', "did you mean 'Shiftmax'"),
        ("n = 15", "nn = 15", "option of Shiftmax 'nn'; did you mean 'n'"),
        ("residual = 16", "residual = 64", r"residual must be a width in \[2, 32\] bits, got 64; choose"),
        ("residual = 16", "resdual = 16", "did you mean 'residual'"),
        ("weight = 8", "weight = 4", r"\(-128, 127\) do not fit weights of 4 bits; use weight_limits=\(-8, 7\)"),
        ("weight_limits = [-128, 127]", "weight_limits = [-128]", "two integers"),
        ("n = 15", "n = 1.5", "n is 1.5; a scheme holds integers"),
        ("n = 15", "n = ", "damaged"),
        ("intsim_scheme = 1", "intsim_scheme = 2", "expected intsim_scheme = 1, found 2"),
        ('type = "StaticScheme"', 'type = "Bits"', "Bits"),
        ("steps = []", "steps = [{name = 'smoth'}]", "did you mean 'smooth'"),
        ("steps = []", "steps = [{name = 'smooth', strenght = '1/2'}]", "did you mean 'strength'"),
        ("steps = []", "steps = [{name = 'smooth', strength = '3/2'}]", r"fraction in \[0, 1\], got '3/2'; write"),
        ("steps = []", "steps = [{name = 'gps', bits = 40}]", r"\[2, 16\], got 40"),
        ("steps = []", "steps = [{strength = '1/2'}]", "lacks the parameter 'name'"),
        ("steps = []", "steps = 3", "array of tables"),
        ('name = "ivit"', "name = 3", "name of a scheme is text"),
        (
            '[softmax]\nunit = "Shiftmax"\n\n[softmax.options]\nn = 15\nout_bits = 16',
            '[softmax]\ntype = "Int"\nbits = 8',
            "softmax of a scheme is a unit",
        ),
    ],
)
def test_a_wrong_file_says_what_to_do(old, new, message):
    text = ivit.to_toml()
    assert old in text
    with pytest.raises(IntsimError, match=message):
        Scheme.from_toml(text.replace(old, new, 1))


def test_files_that_are_none(tmp_path):
    with pytest.raises(IntsimError, match=r"cannot read .*give a scheme's file"):
        Scheme.load(tmp_path / "no.toml")
    with pytest.raises(IntsimError, match=r"\.toml or \.json"):
        ivit.save(tmp_path / "s.yaml")
    for text in ("[]", "{", "3"):
        with pytest.raises(IntsimError, match="not a scheme"):
            Scheme.from_json(text)


def test_parts_are_units_or_operators():
    for part, value in (("softmax", 3), ("norm", Bits()), ("bits", 8), ("requantize", None), ("steps", ("smooth",))):
        with pytest.raises(IntsimError, match=f"{part} of a scheme"):
            ivit.replace(**{part: value})
    with pytest.raises(UnknownName, match="did you mean 'softmax'"):
        ivit.replace(sofmax=Operator.of(Shiftmax))
    with pytest.raises(TypeError, match="abstract"):
        Scheme("a", "b", ivit.requantize)


def test_text_of_any_kind_survives():
    odd = ivit.replace(paper='a "b" \\ \n \x7f \x01 é 😀')
    assert Scheme.from_toml(odd.to_toml()) == odd
    assert Scheme.from_json(odd.to_json()) == odd


def test_a_users_class_takes_the_place_of_the_papers(tmp_path):
    unit = OnesSoftmax(-16, max_row=8, x=Int(8))
    mine = ivit.replace(softmax=unit)
    mine.save(tmp_path / "mine.toml")
    assert Scheme.load(tmp_path / "mine.toml").softmax == unit
    layer = mine.design_attention(0.1, 0.1, 0.1, 0.5, 8)
    assert layer.units[1] is unit


def test_a_unit_from_a_file_of_ones_own(tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    saved = tmp_path / "mine.toml"
    assert intsim("scheme", "ivit", "--replace", f"softmax={tmp_path}/own.py:unit", "-o", saved).code == 0
    # a file alone executes nothing, so the type is not known; with the file that defines it, it is
    refused = subprocess.run(
        [sys.executable, "-m", "intsim", "scheme", saved], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert "unknown type 'HalfSoftmax'" in refused.stderr
    shown = intsim("scheme", saved, "--own", f"{tmp_path}/own.py:unit", "--json")
    assert shown.json["softmax"] == {"type": "HalfSoftmax", "max_row": 64}
    assert intsim("scheme", f"{tmp_path}/own.py:scheme", "--json").json == shown.json


def test_the_command_line():
    assert Scheme.from_toml(intsim("scheme", "ibert").out) == SCHEMES["ibert"]
    for words, message in (
        (["ivt"], "did you mean 'ivit'"),
        (["ivit", "--replace", "softmax"], "expected PART=UNIT"),
        (["ivit", "--replace", "sofmax=silu"], "did you mean 'softmax'"),
        (["ivit", "-o", "a.txt"], ".toml or .json"),
    ):
        got = intsim("scheme", *words)
        assert got.code == 2
        assert message in got.err
