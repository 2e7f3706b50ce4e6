"""Writes ``docs/reference/mutation.md``: which share of planted faults the ordinary verification of each unit notices.

::

    python -m hdl.flow.mutation [docs/reference] [--only NAME ...] [--again]

Measures the units whose RTL is not that of ``mutation.json`` beside the page (about an hour for all of them), keeps
what it finds there unit by unit, so that a run that was broken off goes on where it was, and writes the page from it.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hdl.flow.mutation.campaign import EQUIVALENT, MORE
from hdl.flow.mutation.faults import KINDS
from hdl.flow.mutation.record import MUTANTS, SMALL_ROW, Record, campaign, load, measure, store
from intsim import catalogue
from intsim.files import write_text
from intsim.markdown import table

__all__ = ["main", "page"]

_PROOFS = {"every one": "by every input", "the register": "register stays zero", "induction": "by induction"}
"""How a proof begins in the record, and its column."""

_COUNTED = ("mutants", "killed", "killed_by_corners", "equivalent", "missed", "unexplained")

_PAGE = """\
# Mutation: would the verification notice?

Made by `python -m hdl.flow.mutation` from [mutation.json](mutation.json), which names every survivor; do not edit.
Faults are planted in the RTL of a unit, one at a time, and the unit's ordinary verification is run: all inputs up to
2^24, else its corners and random ones, without and with pauses on both sides, and resets in mid-stream. A fault that
makes it fail is *killed*. A survivor is *equivalent* where it is shown to change nothing: the fault reaches data alone
(no handshake, enable, reset, memory or way back) and every input there is gives the right answer; or it is the enable
of a register that every input leaves at zero; or an induction over clock cycles, by SMT, finds the outputs equal for
ever. What only {more} times as many inputs show is *missed*, everything else *unexplained*, and both count against the
share, which is killed / (all - equivalent). "By corners" counts the faults that the unit's own corners kill alone,
without any other input and without pauses.

{mutants} faults are single bits (Yosys's `mutate`: stuck, inverted, mixed with a neighbour; less those of the clock),
spread evenly over the netlist. The others are those a designer makes, of each kind at most {most}, picked by chance:

{kinds}

`intsim mutate UNIT` does the same for any unit, also for one of your own.

## All units together

{summary}
## The catalogue

{measured}

{catalogue}
{operators}
## Survivors

Why equivalent ones are equivalent:

* *strictness* and *cut* by 1: a piecewise linear function is continuous at its cuts, and both sides give the same code
  there; a cut in a flat part may move by 64 as well.
* *sign*: the operands' top bits are equal or unused there.
* *constant*, *sticky*, *bit*: choices that no index reaches, bits that rounding discards, conditions that another one
  implies, equal neighbours.

{proofs}
### Missed or unexplained

{rest}
"""

_OPERATORS = """\
## Integer operators

Of [](operators-rtl.md), with the parameters named there; row units with `max_row = {small}`. {measured}

{table}"""

_MEANING = {
    "cut": "the constant of a comparison (a cut, a breakpoint, a limit) off by 1 or 64",
    "constant": "a factor, an addend, or one of several constants (a scale's mantissa or shift), off by 1 or 64",
    "word": "a word of a stored table off by 1 or 64",
    "strictness": "`>` for `>=`, `<` for `<=`, and the other way round",
    "sign": "operands taken as unsigned instead of signed, or the other way round",
    "sticky": "an OR over many bits (a sticky bit) that sees none of them, or not the lowest",
    "rounding": "the bit that rounds a sum up (or counts) never set, which is `TO_NEG`, or always",
    "enable": "a register or a memory that is always enabled",
    "reset": "a register that reset leaves alone, or `rst` not connected",
    "handshake": "`valid`, `ready`, `last` or `keep` stuck",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path("docs/reference"))
    parser.add_argument("--only", nargs="+", metavar="NAME", help="measure these units")
    parser.add_argument("--again", action="store_true", help="measure units whose RTL has not changed as well")
    arguments = parser.parse_args()
    path = arguments.folder / "mutation.json"
    for member in campaign():
        if arguments.only and member.name not in arguments.only:
            continue
        record = load(path)
        known = record.get(member.name)
        if arguments.again or known is None or known["rtl"] != member.digest:
            known = measure(member)
            store(path, {**load(path), member.name: known})
        print(*_cells(member.name, known), f"{known['seconds']:.0f} s", flush=True)
    write_text(arguments.folder / "mutation.md", page(load(path)))


def page(record: Record) -> str:
    """The page of a record."""
    sections: dict[str, Record] = {"catalogue": {}, "operators": {}}
    for name, entry in record.items():
        sections[entry["section"]][name] = entry
    operators = sections["operators"]
    return _PAGE.format(
        more=MORE,
        mutants=MUTANTS,
        most=MUTANTS // 5,
        kinds="\n".join(f"* *{kind}*: {meaning}" for kind, meaning in _MEANING.items()),
        summary=_results("kind", _by_kind(record.values())),
        catalogue=_results("unit", {f"`{name}`": entry for name, entry in sections["catalogue"].items()}),
        measured=_measured(sections["catalogue"], catalogue.names()),
        operators=_OPERATORS.format(
            small=SMALL_ROW,
            measured=_measured(operators, [member.name for member in campaign() if member.section == "operators"]),
            table=_results("unit", operators),
        ),
        proofs=_proofs(record.values()),
        rest=_rest(record),
    )


def _measured(entries: Record, names: Sequence[str]) -> str:
    """Which of these units the record has."""
    missing = [name for name in names if name not in entries]
    counted = f"{len(entries)} of {len(entries) + len(missing)} units are measured"
    return f"{counted}." if not missing else f"{counted}; not yet: {', '.join(f'`{name}`' for name in missing)}."


def _by_kind(entries: Iterable[Mapping[str, Any]]) -> dict[str, Counter[str]]:
    sums: dict[str, Counter[str]] = {kind: Counter() for kind in (*KINDS, "all")}
    for entry in entries:
        for kind, counts in (*entry["kinds"].items(), ("all", entry)):
            sums[kind].update({name: counts[name] for name in _COUNTED})
    return sums


def _results(first: str, results: Mapping[str, Mapping[str, Any]]) -> str:
    head = (first, *(name.removeprefix("killed_").replace("_", " ") for name in _COUNTED), "share")
    return table(head, [_cells(label, counts) for label, counts in results.items()])


def _cells(label: str, counts: Mapping[str, Any]) -> list[str]:
    different = counts["mutants"] - counts["equivalent"]
    share = f"{100 * counts['killed'] / different:.1f} %" if different else "none differs"
    return [label, *(f"{counts[name]:,}" for name in _COUNTED), share]


def _proofs(entries: Iterable[Mapping[str, Any]]) -> str:
    """How many are equivalent, by kind and proof."""
    proofs: Counter[tuple[str, str]] = Counter()
    for entry in entries:
        for survivor in entry["survivors"]:
            if survivor["verdict"] == EQUIVALENT:
                proof = next(proof for proof in _PROOFS if survivor["shown_by"].startswith(proof))
                proofs[survivor["kind"], proof] += 1
    rows = [[kind, *(f"{proofs[kind, proof]:,}" for proof in _PROOFS)] for kind in KINDS]
    return table(("equivalent, kind", *_PROOFS.values()), rows)


def _rest(record: Record) -> str:
    lines = []
    for name, entry in record.items():
        for survivor in entry["survivors"]:
            if survivor["verdict"] != EQUIVALENT:
                fault = survivor["fault"].replace("|", "\\|")
                lines.append(f"* {name}: *{survivor['kind']}*, {fault}; {survivor['verdict']}, {survivor['shown_by']}")
    return "\n".join(lines) or "None is left missed or unexplained."
