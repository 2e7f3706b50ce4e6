"""Protocol tests from the command line: ``python -m hdl.bench UNIT TESTS [option=value ...]``.

Exit code 0 if every test passed and something was compared, 1 if not, 2 if it could not be run.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from hdl.bench.runner import run
from intsim.cli.units import resolve
from intsim.errors import IntsimError


def main(arguments: list[str] | None = None) -> int:
    """Run the tests; the exit code is the verdict."""
    parser = argparse.ArgumentParser(prog="python -m hdl.bench", description="Protocol tests of a unit's hardware.")
    parser.add_argument("unit", help="a name of the catalogue, a JSON file, or file.py:name")
    parser.add_argument("tests", help="a Python file with cocotb tests")
    parser.add_argument("options", nargs="*", metavar="option=value", help="the component's own, such as stages=4")
    parser.add_argument("--rtl", action="append", help="Verilog to test in place of the generated one, may be repeated")
    parser.add_argument("--top", help="its top module")
    parser.add_argument("--ports", help="how it is connected: a port map in TOML")
    parser.add_argument("--test", action="append", help="name of a test to run, may be repeated; all by default")
    given = parser.parse_args(arguments)
    try:
        options: dict[str, Any] = dict(_option(text) for text in given.options)
        design: dict[str, Any] = {"rtl": given.rtl, "top": given.top, "ports": given.ports}
        results = run(resolve(given.unit), given.tests, testcase=given.test, check=False, **design, **options)
    except IntsimError as error:
        print(error, file=sys.stderr)
        return 2
    for name in results.passed:
        print(f"pass  {name}")
    for name, why in results.failed:
        print(f"FAIL  {name}: {why}")
    print(results.verdict)
    return 0 if results.ok else 1


def _option(text: str) -> tuple[str, int | str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise IntsimError(f"{text!r} is no option; write name=value, such as stages=4")
    return name, int(value) if value.lstrip("-").isdigit() else value


if __name__ == "__main__":
    sys.exit(main())
