"""The command line as a page of the documentation, made from the commands themselves."""

from __future__ import annotations

import re
from typing import Any

import typer

from intsim.cli.app import VERBS, application

__all__ = ["markdown"]


def markdown() -> str:
    """Every verb with its help, arguments and options."""
    commands = typer.main.get_command(application()).commands  # type: ignore[attr-defined]
    return "\n".join(_verb(verb, commands[verb]) for verb in VERBS)


def _verb(verb: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    usage = " ".join(["intsim", verb, *(str(p.metavar or p.name.upper()) for p in arguments), "[OPTIONS]"])
    lines = [f"## {verb}", "", "```text", usage, "```", ""]
    lines += [_plain(paragraph) + "\n" for paragraph in (command.help or "").split("\n\n")]
    if options:
        lines += ["| option | | default |", "| --- | --- | --- |", *map(_option, options), ""]
    return "\n".join(lines)


def _option(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    metavar = f" {option.metavar}" if option.metavar else ""
    value = option.default
    default = (
        "required" if option.required else "" if value in (None, False, [], ()) or callable(value) else f"`{value}`"
    )
    return f"| {names}{metavar} | {_plain(option.help or '')} | {default} |"


def _plain(text: str) -> str:
    """Rich's markup as Markdown, on one line."""
    return re.sub(r"\[bold\](.*?)\[/bold\]", r"`\1`", " ".join(text.split())).replace("|", "\\|")
