"""The Typer application: every verb, and what becomes of errors."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Annotated

import typer

import intsim
from intsim.cli.interrupt import listening
from intsim.errors import IntsimError

__all__ = ["DIFFERS", "HOLDS", "IMPOSSIBLE", "VERBS", "application", "run"]

HOLDS, DIFFERS, IMPOSSIBLE = 0, 1, 2
STOPPED = 130  # by Ctrl-C, as shells have it

# Every verb with its place in the help; verb `a-b` is module `intsim.cli.a_b`.
VERBS = {
    "list": "Units",
    "show": "Units",
    "design": "Units",
    "scheme": "Units",
    "run": "Golden model",
    "error": "Golden model",
    "requant-diff": "Golden model",
    "compare-tables": "Golden model",
    "eval": "Golden model",
    "compare": "Golden model",
    "rtl": "Hardware",
    "verify": "Hardware",
    "prove": "Hardware",
    "mutate": "Hardware",
    "synth": "Hardware",
    "place": "Hardware",
    "report": "Hardware",
    "sweep": "Hardware",
    "vectors": "For testbenches",
    "export-c": "For testbenches",
    "doctor": "Set-up",
    "demo": "Set-up",
}

_ISSUES = "please report it with the command you gave; INTSIM_TRACEBACK=1 in the environment shows where it happened"


def application() -> typer.Typer:
    """The command line as an object; the help text of each verb is its module's ``command.__doc__``."""
    app = typer.Typer(
        name="intsim",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def about(
        version: Annotated[
            bool, typer.Option("--version", help="Print the version and leave.", is_eager=True, callback=_version)
        ] = False,
    ) -> None:
        """What exactly will integer hardware compute, how far is it from the real function, and what does it cost?

        A UNIT is a name from [bold]intsim list[/bold], a JSON file, or [bold]file.py:name[/bold].

        Exit code: 0 it holds, 1 it differs, 2 bad use or cannot be built.
        """

    for verb, panel in VERBS.items():
        module = importlib.import_module(f"intsim.cli.{verb.replace('-', '_')}")
        app.command(verb, rich_help_panel=panel, context_settings=getattr(module, "CONTEXT", None))(module.command)
    return app


def _version(asked: bool) -> None:
    if asked:
        print(f"intsim {intsim.__version__}")
        raise typer.Exit(HOLDS)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code. No traceback reaches the user."""
    with listening() as interrupts:
        try:
            return _run(arguments)
        except KeyboardInterrupt:
            pass
        except Exception as error:
            if not interrupts.seen:  # else the interrupt was lost in a callback, and this is its consequence
                return _refuse(_explain(error))
    print("stopped", file=sys.stderr)
    return STOPPED


def _run(arguments: Sequence[str] | None) -> int:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a real function may overflow where it is not asked for
            application()(args=arguments, prog_name="intsim")
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else IMPOSSIBLE
    return HOLDS


def _explain(error: Exception) -> str:
    match error:
        case IntsimError():
            return str(error)
        case ModuleNotFoundError():
            extra = "models" if (error.name or "") in ("safetensors", "tokenizers", "scipy") else "hdl"
            return f"{error.name} is missing: pip install 'intsim[{extra}]'"
        case MemoryError():
            return "out of memory; use fewer vectors, narrower formats or a machine with more"
        case OSError():
            where = f" {error.filename}" if error.filename else ""
            return f"the system refused{where}: {error.strerror or error}; check the path and its permissions"
    if os.environ.get("INTSIM_TRACEBACK"):
        traceback.print_exception(error)
    return f"this is a defect of intsim ({type(error).__name__}: {error}); {_ISSUES}"


def _refuse(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return IMPOSSIBLE
