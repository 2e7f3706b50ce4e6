"""Parameter objects go to JSON and back without loss; damage is refused with a reason."""

import enum
import hashlib
import json
from dataclasses import dataclass, replace

import pytest

from intsim import Fixed, Int, IntsimError, UnknownName
from intsim.parameters import Parameters, digest, from_plain, note, to_plain
from intsim.rounding import Rounding


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Painted(Parameters):
    """Enumerations inside other types."""

    colour: Colour | None
    stripes: tuple[Colour, ...] = ()


@dataclass(frozen=True)
class Sample(Parameters):
    """Every kind of field there is."""

    width: int
    flags: tuple[bool, ...]
    nested: tuple[tuple[int, ...], ...]
    fmt: Fixed
    rounding: Rounding = Rounding.TO_NEG
    label: str | None = None
    remark: str | None = note()


def sample(**changes) -> Sample:
    base = Sample(3, (True, False), ((1, -2), (1 << 63, 0)), Fixed(16, 12), Rounding.TIES_AWAY, "a", "found by hand")
    return replace(base, **changes)


def test_there_and_back_through_json_text_without_loss():
    text = json.dumps(to_plain(sample()))
    back = from_plain(json.loads(text))
    assert back == sample()
    assert (back.remark, back.nested, type(back.flags)) == ("found by hand", ((1, -2), (1 << 63, 0)), tuple)
    assert type(back.rounding) is Rounding
    assert type(back.fmt) is Fixed
    assert hash(back) == hash(sample())


def test_enumerations_of_fields_are_known_before_one_was_written():
    plain = {
        "type": "Painted",
        "colour": {"enum": "Colour", "name": "RED"},
        "stripes": [{"enum": "Colour", "name": "BLUE"}, {"enum": "Colour", "name": "RED"}],
    }
    assert from_plain(plain) == Painted(Colour.RED, (Colour.BLUE, Colour.RED))
    assert to_plain(from_plain(plain)) == plain


def test_notes_are_stored_but_are_no_part_of_identity():
    other = sample(remark="found by the solver in 3 s")
    assert other == sample()
    assert hash(other) == hash(sample())
    assert digest(other) == digest(sample())
    assert from_plain(to_plain(other)).remark == "found by the solver in 3 s"
    assert "remark" not in to_plain(other, notes=False)


@pytest.mark.parametrize(
    "change",
    [
        {"width": 4},
        {"flags": (True, True)},
        {"nested": ((1, -2), ((1 << 63) + 1, 0))},
        {"nested": ((1, -2, 1 << 63, 0),)},
        {"fmt": Fixed(16, 11)},
        {"fmt": Fixed(16, 12, signed=False)},
        {"rounding": Rounding.TIES_TO_EVEN},
        {"label": "b"},
        {"label": None},
    ],
)
def test_the_digest_sees_every_parameter(change):
    assert digest(sample(**change)) != digest(sample())


def test_the_digest_tells_types_apart():
    assert digest(Int(8)) != digest(Fixed(8, 0))


def test_the_digest_is_that_of_the_canonical_text():
    """Stored hashes of emitted files stay valid: keys sorted, no spaces, nothing but type and parameters."""
    text = b'{"bits":16,"frac":12,"signed":true,"type":"Fixed"}'
    assert digest(Fixed(16, 12)) == hashlib.sha256(text).hexdigest()


DAMAGED = {
    "unknown type": ({"type": "Fixd", "bits": 8, "frac": 4}, "unknown type 'Fixd'; did you mean 'Fixed'"),
    "type missing": ({"bits": 8}, r"expected an object with a 'type', found keys \['bits'\]"),
    "type no text": ({"type": 3}, "expected an object with a 'type'"),
    "unknown field": (
        {"type": "Fixed", "bits": 8, "fracs": 4},
        "unknown parameter of Fixed 'fracs'; did you mean 'frac'",
    ),
    "missing field": ({"type": "Fixed", "bits": 8}, "Fixed lacks the parameter 'frac'; add it"),
    "float": ({"type": "Fixed", "bits": 8, "frac": 4.0}, "parameters are integers, found the float 4.0"),
    "text for int": ({"type": "Fixed", "bits": "8", "frac": 4}, "1 to 64 bits, got '8'"),
    "null for int": ({"type": "Fixed", "bits": None, "frac": 4}, "1 to 64 bits, got None"),
    "list for int": ({"type": "Fixed", "bits": [8], "frac": 4}, "1 to 64 bits"),
    "bool for int": ({"type": "Fixed", "bits": True, "frac": 4}, "1 to 64 bits, got True"),
    "out of bounds": ({"type": "Fixed", "bits": 65, "frac": 4}, "1 to 64 bits, got 65"),
    "unknown enumeration": ({"enum": "Roundings", "name": "TO_NEG"}, "unknown enumeration 'Roundings'; did you mean"),
    "unknown member": ({"enum": "Rounding", "name": "TO_NEGG"}, "unknown Rounding 'TO_NEGG'; did you mean 'TO_NEG'"),
    "member missing": ({"enum": "Rounding"}, "unknown Rounding 'None'"),
    "enumeration no text": ({"enum": ["Rounding"], "name": "TO_NEG"}, "unknown enumeration"),
    "member no text": ({"enum": "Rounding", "name": 3}, "unknown Rounding '3'"),
}


@pytest.mark.parametrize(("plain", "message"), DAMAGED.values(), ids=DAMAGED)
def test_damage_is_refused_with_its_reason(plain, message):
    with pytest.raises(IntsimError, match=message):
        from_plain(plain)


def test_unknown_names_are_lookup_errors():
    with pytest.raises(UnknownName):
        from_plain({"type": "Nothing of the kind"})


def test_reading_imports_and_executes_nothing(monkeypatch):
    """A type that is not registered stays unknown, whatever module its name resembles."""
    for name in ("os.system", "subprocess.Popen", "builtins.eval", "Parameters", "int", "__import__"):
        with pytest.raises(IntsimError):
            from_plain({"type": name, "command": "touch /nonexistent/owned"})


@pytest.mark.parametrize("value", [1.5, {"a": 1}, [1], object(), b"x", 1j])
def test_what_is_no_parameter_cannot_be_written(value):
    with pytest.raises(TypeError, match="a parameter must be"):
        to_plain(sample(width=value))


def test_two_modules_cannot_claim_one_name():
    with pytest.raises(TypeError, match=r"a parameter type named 'Fixed' exists in intsim.formats.fixed"):
        type("Fixed", (Parameters,), {"__module__": "somewhere.else"})


def test_a_class_defined_again_in_its_own_module_replaces_itself():
    again = dataclass(frozen=True)(type("Sample", (Parameters,), {"__module__": __name__, "__annotations__": {}}))
    try:
        assert type(from_plain({"type": "Sample"})) is again
    finally:
        from intsim.parameters import _registry

        _registry["Sample"] = Sample
