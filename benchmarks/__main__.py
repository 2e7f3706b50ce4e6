"""``python -m benchmarks``: run, write the results, the table and the picture, and say what became slower."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.cases import CASES
from benchmarks.report import compare, draw, load, page, record, save
from benchmarks.turns import LIBRARIES, ROOT, measure

RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "reference" / "performance.md"
PICTURE = ROOT / "docs" / "pictures" / "performance.svg"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"some of: {', '.join(CASES)}; all by default")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each library (default 9)")
    parser.add_argument("--seconds", type=float, default=0.05, help="length of a turn (default 0.05)")
    parser.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="LIBRARY=PATH",
        help="interpreter of a library that is not installed in this one, such as torch_cpu=/opt/torch/bin/python",
    )
    parser.add_argument("--only", nargs="+", choices=LIBRARIES, help="some of the libraries")
    parser.add_argument("--keep", action="store_true", help="do not touch the documentation")
    parser.add_argument("--note", default="", help="what is to be known of the machine, for the page")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the JSON files")
    given = parser.parse_args(arguments)
    unknown = [name for name in given.cases if name not in CASES]
    pythons = dict(entry.partition("=")[::2] for entry in given.python)
    wrong = [name for name in pythons if name not in LIBRARIES]
    if unknown or wrong:
        parser.error(f"unknown: {', '.join(unknown + wrong)}")

    cases = [CASES[name] for name in given.cases] or list(CASES.values())
    times, missing = measure(cases, given.only or list(LIBRARIES), pythons, given.rounds, given.seconds)
    run = record(times, missing, given.note)
    before = load(given.results)
    path = save(run, given.results)
    print(page(run))
    print(f"written: {path}")
    if not given.keep and not given.cases and not given.only:
        PAGE.write_text(page(run), encoding="utf-8")
        draw([*before, run], PICTURE)
        print(f"written: {PAGE}, {PICTURE}")
    slower = compare(before, run)
    for line in slower:
        print(line, file=sys.stderr)
    differing = [name for name, case in run["cases"].items() if case["differs"]]
    for name in differing:
        print(f"{name}: results differ", file=sys.stderr)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
