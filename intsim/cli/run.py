"""``intsim run``: the golden model on values or files."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from intsim.cli import console
from intsim.cli.options import AsJson, UnitArgument
from intsim.cli.units import read_array, resolve
from intsim.errors import IntsimError
from intsim.formats import Format
from intsim.unit import Unit

__all__ = ["command"]

CONTEXT = {"ignore_unknown_options": True}  # -1,2 is a value, not an option

_SHOWN = 32


def command(
    unit: UnitArgument,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...", help="One per port: a .npy file, or values such as 1,2,-3.", show_default=False
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help=".npy, or .npz for several ports.")
    ] = None,
    real: Annotated[
        bool, typer.Option("--real", help="Inputs are real values: encode them, decode the outputs.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Compute with a unit's golden model: integers in, integers out.

    Example:  [bold]intsim run silu -4096,0,4096[/bold]   or   [bold]intsim run silu in.npy -o out.npy[/bold]
    """
    found = resolve(unit)
    if len(inputs) != len(found.inputs):
        ports = ", ".join(f"{port}: {fmt}" for port, fmt in found.inputs.items())
        raise IntsimError(
            f"{found.name} takes {len(found.inputs)} inputs ({ports}), got {len(inputs)}; give one per port"
        )
    columns = [_read(text, fmt, port, real) for text, (port, fmt) in zip(inputs, found.inputs.items(), strict=True)]
    results = found(*columns)
    named = dict(zip(found.outputs, results if isinstance(results, tuple) else (results,), strict=True))
    if output is not None:
        _write(output, _decoded(found, named) if real else named)
        console.note(f"wrote {output}")
        return
    if json:
        console.emit(_decoded(found, named) if real else named)
        return
    _print(found, columns, named, real)


def _read(text: str, fmt: Format, port: str, real: bool) -> np.ndarray:
    """One port's codes, from a file or from text."""
    if re.fullmatch(r"[-+0-9.,eE ]*[0-9][-+0-9.,eE ]*", text) and not Path(text).is_file():
        values = _values(text, port, real)
    else:
        values = read_array(text)
    return fmt.encode(values) if real else fmt.check(values, port)


def _values(text: str, port: str, real: bool) -> np.ndarray:
    words = [word.strip() for word in text.split(",")]
    try:
        return np.array([float(word) if real else int(word) for word in words])
    except ValueError:
        kind = "numbers" if real else "integers (real values need --real)"
        raise IntsimError(f"{port}: cannot read {text!r}; give {kind} separated by commas, or a .npy file") from None


def _decoded(unit: Unit, named: dict[str, Any]) -> dict[str, np.ndarray]:
    return {port: unit.outputs[port].decode(codes) for port, codes in named.items()}


def _write(path: Path, named: dict[str, Any]) -> None:
    from intsim.files import write_bytes

    buffer = io.BytesIO()
    if len(named) == 1:
        if path.suffix != ".npy":
            raise IntsimError(f"{path}: one output port is written as .npy; choose a name that ends so")
        np.save(buffer, next(iter(named.values())), allow_pickle=False)
    else:
        if path.suffix != ".npz":
            raise IntsimError(f"{path}: {len(named)} output ports are written as .npz; choose a name that ends so")
        np.savez(buffer, **named)
    write_bytes(path, buffer.getvalue())


def _print(unit: Unit, columns: list[np.ndarray], named: dict[str, Any], real: bool) -> None:
    ports = {**dict(zip(unit.inputs, columns, strict=True)), **named}
    formats = {**unit.inputs, **unit.outputs}
    shape = np.broadcast_shapes(*(np.shape(codes) for codes in ports.values()))
    flat = {port: np.broadcast_to(codes, shape).reshape(-1)[:_SHOWN] for port, codes in ports.items()}
    shown = {port: formats[port].decode(codes) if real else codes for port, codes in flat.items()}
    console.rows(list(shown), list(zip(*(values.tolist() for values in shown.values()), strict=True)))
    count = int(np.prod(shape))
    if count > _SHOWN:
        console.note(f"... {count:,} values in all; write them with -o FILE")
