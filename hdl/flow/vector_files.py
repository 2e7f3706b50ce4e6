"""Stimuli and golden answers on disk, for testbenches in any language."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import intsim
from hdl.flow.stimulus import Stimulus
from hdl.wrap.packing import Packing
from intsim.errors import IntsimError
from intsim.files import write_files
from intsim.formats import Format
from intsim.unit import Unit

__all__ = ["vectors"]

EXHAUSTIVE = 1 << 16
"""Input combinations up to which all are written."""


def vectors(unit: Unit, folder: str | Path, *, count: int = 4096, seed: int = 0) -> dict[str, Any]:
    """Write inputs, golden answers and named intermediates of a unit, with a testbench that reads them.

    All inputs where there are at most 2**16; otherwise corners, near-ties and `count` random ones.

    Parameters
    ----------
    unit : any unit
    folder : where to; created if missing
    count : random inputs (elements for a row unit)
    seed : of the random part

    Returns
    -------
    dict
        Paths by kind: ``npz`` (arrays ``in_<port>``, ``out_<port>``, ``net_<name>``; rows end to end, with
        ``row_lengths``), ``hex`` (a list; one file per port for ``$readmemh``, two's complement of the port's
        width), ``manifest`` (JSON), ``testbench`` (SystemVerilog, for a module with the ports of
        :class:`hdl.wrap.axi_stream.AxiStream`), ``unit`` (the unit's JSON).

    Notes
    -----
    ``verilator --binary --timing <name>.vlt <name>_tb.sv <name>.v && obj_dir/V<name>_tb``, with the files of
    :func:`hdl.flow.verilog` beside, runs the testbench: it prints how many answers it compared and fails unless all
    are equal.
    """
    if count < 1:
        raise IntsimError(f"count must be at least 1, got {count}")
    stimulus = Stimulus(unit, seed, count, limit=EXHAUSTIVE)
    arrays = _collect(unit, stimulus)
    name = unit.name
    inputs, outputs = Packing.of(unit.inputs, 1, unit.is_row), Packing.of(unit.outputs, 1, unit.is_row)
    per_element = {
        port: arrays[f"out_{port}"].size == arrays[f"in_{next(iter(unit.inputs))}"].size for port in unit.outputs
    }
    hexes = {f"{name}_in_{port}.hex": _hex(arrays[f"in_{port}"], fmt) for port, fmt in unit.inputs.items()}
    hexes |= {
        f"{name}_out_{port}.hex": _hex(_answers(arrays, port, all_beats=any(per_element.values())), fmt)
        for port, fmt in unit.outputs.items()
    }
    if unit.is_row:
        hexes[f"{name}_last.hex"] = _lasts(arrays["row_lengths"])
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    beats = arrays[f"in_{next(iter(unit.inputs))}"].size
    answers = beats if any(per_element.values()) or not unit.is_row else arrays["row_lengths"].size
    bench = _testbench(unit, inputs, outputs, beats, answers)
    files: dict[str, str | bytes] = {
        f"{name}.npz": _without_time(buffer.getvalue()),
        **hexes,
        f"{name}_tb.sv": bench,
        f"{name}.unit.json": unit.to_json(),
    }
    files[f"{name}_vectors.json"] = json.dumps(_manifest(unit, stimulus, arrays, files), indent=2) + "\n"
    paths = write_files(folder, files)
    return {
        "npz": paths[f"{name}.npz"],
        "hex": [paths[file] for file in hexes],
        "manifest": paths[f"{name}_vectors.json"],
        "testbench": paths[f"{name}_tb.sv"],
        "unit": paths[f"{name}.unit.json"],
    }


def _collect(unit: Unit, stimulus: Stimulus) -> dict[str, np.ndarray]:
    """Inputs, intermediates and outputs of every batch, end to end."""
    parts: dict[str, list[np.ndarray]] = {}
    for columns in stimulus.batches():
        nets = unit.trace(*columns)
        found = {f"in_{port}": column for port, column in zip(unit.inputs, columns, strict=True)}
        found |= {f"out_{port}": nets[port] for port in unit.outputs}
        found |= {f"net_{net}": values for net, values in nets.items() if net not in {**unit.inputs, **unit.outputs}}
        if unit.is_row:
            found["row_lengths"] = np.full(columns[0].shape[0], columns[0].shape[1], dtype=np.int32)
        for key, values in found.items():
            parts.setdefault(key, []).append(np.asarray(values).reshape(-1))
    return {key: np.concatenate(values) for key, values in parts.items()}


def _answers(arrays: Mapping[str, np.ndarray], port: str, *, all_beats: bool) -> np.ndarray:
    """An output as the stream carries it: one value per beat, also where the unit has one per row."""
    values = arrays[f"out_{port}"]
    lengths = arrays.get("row_lengths")
    if lengths is None or not all_beats or values.size == lengths.sum():
        return values
    return np.repeat(values, lengths)


def _hex(values: np.ndarray, fmt: Format) -> str:
    digits, mask = -(-fmt.bits // 4), (1 << fmt.bits) - 1
    return "".join(f"{int(value) & mask:0{digits}x}\n" for value in values)


def _lasts(lengths: np.ndarray) -> str:
    last = np.zeros(int(lengths.sum()), dtype=np.uint8)
    last[np.cumsum(lengths) - 1] = 1
    return "".join(f"{bit}\n" for bit in last)


def _without_time(archive: bytes) -> bytes:
    """The same archive with a fixed date on its members, so that equal vectors are equal files."""
    import zipfile

    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.namelist():
            new.writestr(zipfile.ZipInfo(member, (1980, 1, 1, 0, 0, 0)), old.read(member), zipfile.ZIP_DEFLATED)
    return made.getvalue()


def _manifest(
    unit: Unit, stimulus: Stimulus, arrays: Mapping[str, np.ndarray], files: Mapping[str, str | bytes]
) -> dict[str, Any]:
    def ports(formats: Mapping[str, Format]) -> dict[str, Any]:
        return {
            port: {"format": str(fmt), "bits": fmt.bits, "signed": fmt.signed, "lo": fmt.lo, "hi": fmt.hi}
            for port, fmt in formats.items()
        }

    return {
        "generator": f"intsim {intsim.__version__}",
        "unit": unit.name,
        "type": type(unit).__name__,
        "sha256": unit.sha256,
        "seed": stimulus.seed,
        "exhaustive": stimulus.exhaustive,
        "inputs": ports(unit.inputs),
        "outputs": ports(unit.outputs),
        "arrays": {key: {"dtype": str(values.dtype), "size": int(values.size)} for key, values in arrays.items()},
        "files": {
            file: hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()
            for file, text in files.items()
        },
    }


# The testbench ----------------------------------------------------------------------------------------------------


def _testbench(unit: Unit, inputs: Packing, outputs: Packing, beats: int, answers: int) -> str:
    name, row = unit.name, unit.is_row
    lines = [
        f"// Feeds {name} with the vectors beside this file and compares every answer.",
        f"// unit sha256 {unit.sha256}",
        "`timescale 1ns / 1ps",
        f"module {name}_tb;",
        f"  localparam int BEATS = {beats}, ANSWERS = {answers}, TIMEOUT = 100000;",
        "  logic clk = 1'b0, rst = 1'b1;",
        "  always #5 clk = ~clk;",
        "",
    ]
    for field in inputs.fields:
        lines.append(f"  logic [{field.bits - 1}:0] in_{field.port}[BEATS];")
    for field in outputs.fields:
        lines.append(f"  logic [{field.bits - 1}:0] out_{field.port}[ANSWERS];")
    if row:
        lines.append("  logic in_last[BEATS];")
    lines += ["  initial begin"]
    lines += [f'    $readmemh("{name}_in_{field.port}.hex", in_{field.port});' for field in inputs.fields]
    lines += [f'    $readmemh("{name}_out_{field.port}.hex", out_{field.port});' for field in outputs.fields]
    lines += [f'    $readmemh("{name}_last.hex", in_last);'] * row
    lines += [
        "  end",
        "",
        "  int sent = 0, got = 0, wrong = 0, quiet = 0;",
        f"  logic [{8 * inputs.data_bytes - 1}:0] s_data;",
        f"  logic [{8 * outputs.data_bytes - 1}:0] m_data;",
        "  logic s_valid, s_ready, m_valid, m_ready;",
    ]
    lines += ["  logic s_last, m_last;"] * row
    lines += [
        "  always_comb begin",
        "    s_valid = !rst && sent < BEATS;",
        "    s_data = '0;",
        "    if (s_valid) begin",
    ]
    for field in inputs.fields:
        low = 8 * field.offset
        lines.append(f"      s_data[{low + field.bits - 1}:{low}] = in_{field.port}[sent];")
    lines += ["    end"]
    lines += ["    s_last = s_valid && in_last[sent];"] * row
    lines += ["  end", "  always_ff @(posedge clk) m_ready <= $urandom_range(3) != 0;  // a receiver that pauses", ""]
    ends = ("1'b1" if answers < beats else "in_last[got]") if row else ""
    last = ", .s_axis_tlast(s_last), .m_axis_tlast(m_last)" if row else ""
    lines += [
        f"  {name} dut (.clk(clk), .rst(rst), .s_axis_tdata(s_data), .s_axis_tvalid(s_valid), .s_axis_tready(s_ready),",
        f"      .m_axis_tdata(m_data), .m_axis_tvalid(m_valid), .m_axis_tready(m_ready){last});",
        "",
        "  always_ff @(posedge clk) if (!rst) begin",
        "    quiet <= quiet + 1;",
        "    if (s_valid && s_ready) begin",
        "      sent <= sent + 1;",
        "      quiet <= 0;",
        "    end",
        "    if (m_valid && m_ready) begin",
        "      quiet <= 0;",
        "      got <= got + 1;",
        '      if (got >= ANSWERS) $fatal(1, "more answers than asked for");',
        f"      else if ({_differs(outputs, ends)}) begin",
        "        wrong <= wrong + 1;",
        f'        if (wrong < 10) $display("answer %0d: got %h, expected {_formats(outputs)}", got, m_data,',
        f"            {_wanted(outputs)});",
        "      end",
        "    end",
        '    if (quiet > TIMEOUT) $fatal(1, "no transfer for %0d cycles; %0d of %0d answers", TIMEOUT, got, ANSWERS);',
        "  end",
        "",
        "  initial begin",
        "    repeat (4) @(negedge clk);",
        "    rst = 1'b0;",
        "    wait (got == ANSWERS);",
        "    repeat (64) @(posedge clk);",
        f'    if (wrong != 0) $fatal(1, "{name}: %0d of %0d answers differ", wrong, ANSWERS);',
        f'    $display("{name}: %0d of %0d answers equal", got, ANSWERS);',
        "    $finish;",
        "  end",
        "endmodule",
        "",
    ]
    return "\n".join(lines)


def _differs(outputs: Packing, ends: str) -> str:
    parts = [f"m_last !== {ends}"] if ends else []
    for field in outputs.fields:
        low = 8 * field.offset
        parts.append(f"m_data[{low + field.bits - 1}:{low}] !== out_{field.port}[got]")
    return " || ".join(parts)


def _formats(outputs: Packing) -> str:
    return " ".join(f"{field.port}=%h" for field in outputs.fields)


def _wanted(outputs: Packing) -> str:
    return ", ".join(f"out_{field.port}[got]" for field in outputs.fields)
