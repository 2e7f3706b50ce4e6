"""Pictures of a mismatch: a VCD of the smallest failing input, and the cycles around the answer as SVG."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hdl.flow import tools
from hdl.flow.comparison import Failing
from hdl.flow.simulation import Model, NoAnswer, WrongAnswers
from hdl.wrap.packing import Packing
from intsim.files import write_files

__all__ = ["write"]

_CYCLE = 10  # time units: the harness dumps with the clock low, and after the edge
_SHOWN = 24  # cycles
_NETS = 12


def write(device: Model, failing: Failing, folder: str | Path) -> dict[str, str]:
    """Run `failing` again with waveforms on and write them.

    Parameters
    ----------
    device : a model built with waveforms
    failing : what to run
    folder : where to; created if missing

    Returns
    -------
    dict
        ``vcd`` and ``svg``: paths.
    """
    tools.require("pywellen", "wavedrom")
    name = failing.batch.unit.name
    with tools.work_folder("waves") as work:
        device.vcd = work / "run.vcd"
        try:
            device(*failing.batch.columns, stalls=failing.batch.stalls, seed=failing.batch.seed)
        except (NoAnswer, WrongAnswers):
            pass  # what it did until then is what we want to see
        finally:
            device.vcd = None
        vcd = (work / "run.vcd").read_text()
        svg = _draw(_Trace(work / "run.vcd"), device, failing)
    paths = write_files(folder, {f"{name}.vcd": vcd, f"{name}.svg": svg})
    return {"vcd": str(paths[f"{name}.vcd"]), "svg": str(paths[f"{name}.svg"])}


class _Trace:
    """Values of every net just before each clock edge."""

    def __init__(self, path: Path):
        import pywellen

        self.nets = {var.full_name: var for var in pywellen.Waveform(str(path)).all_vars()}
        times = re.findall(r"^#(\d+)$", path.read_text(), re.MULTILINE)
        self.cycles = int(times[-1]) // _CYCLE if times else 0
        self._signals: dict[str, Any] = {}

    def find(self, pattern: str) -> list[str]:
        return [name for name in self.nets if re.search(pattern, name)]

    def value(self, name: str, cycle: int) -> int:
        if name not in self._signals:
            self._signals[name] = self.nets[name].signal
        found = self._signals[name].value_at(cycle * _CYCLE)
        return int(found) if isinstance(found, int) else int(str(found or 0), 2)


def _draw(trace: _Trace, device: Model, failing: Failing) -> str:
    import wavedrom

    shell = {port: trace.find(rf"\.{port}$")[0] for port in _shell_ports(device)}
    first, last = _window(trace, shell, device, failing)
    cycles = range(first, last + 1)
    lanes: list[Any] = [{"name": "clk", "wave": "p" + "." * (len(cycles) - 1)}]
    lanes += [_group("in", trace, shell, "s_axis", device.inputs, cycles)]
    lanes += [_group("design", trace, _internal(trace, device, failing), cycles=cycles)]
    lanes += [_group("out", trace, shell, "m_axis", device.outputs, cycles)]
    description = failing.described()
    drawing = {
        "signal": [lane for lane in lanes if lane and (not isinstance(lane, list) or len(lane) > 1)],
        "head": {"text": f"expected {_short(description['expected'])}, got {_short(description['got'])}"},
        "foot": {"text": f"cycles {first} to {last} after start"},
        "config": {"hscale": 2},
    }
    return wavedrom.render(json.dumps(drawing)).tostring()


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else ", ".join(f"{name}={number}" for name, number in value.items())
    return text if len(text) < 80 else text[:77] + "..."


def _shell_ports(device: Model) -> Iterator[str]:
    for prefix, packing in (("s_axis", device.inputs), ("m_axis", device.outputs)):
        for name, _ in [*packing.signals, ("tready", 1)]:
            yield f"{prefix}_{name}"


def _window(trace: _Trace, shell: dict[str, str], device: Model, failing: Failing) -> tuple[int, int]:
    """From the failing input to its answer, with a cycle or two around; the end of it if that is long."""
    asked = _transfers(trace, shell, "s_axis")
    given = _transfers(trace, shell, "m_axis")
    first = asked[min(_beat(device.inputs, failing, inputs=True), len(asked) - 1)] if asked else 0
    place = _beat(device.outputs, failing, inputs=False)
    last = given[place] if place < len(given) else trace.cycles - 1
    last = min(last + 2, trace.cycles - 1)
    return max(first - 1, last - _SHOWN + 1, 0), max(last, 0)


def _transfers(trace: _Trace, shell: dict[str, str], prefix: str) -> list[int]:
    pair = shell[f"{prefix}_tvalid"], shell[f"{prefix}_tready"]
    return [cycle for cycle in range(trace.cycles) if all(trace.value(name, cycle) for name in pair)]


def _beat(packing: Packing, failing: Failing, *, inputs: bool) -> int:
    """Number of the first transfer that belongs to the failing input, or of the first wrong one of its answer."""
    batch, index = failing.batch, failing.index
    if not batch.unit.is_row:
        return index
    columns = batch.columns if inputs else batch.expected
    per_row = -(-columns[0].shape[1] // packing.lanes) if columns[0].ndim == 2 else 1
    offset = 0
    if not inputs and not isinstance(batch.got, str) and columns[0].ndim == 2:
        wrong = [k for a, b in zip(batch.expected, batch.got, strict=True) for k in (a[index] != b[index]).nonzero()[0]]
        offset = min(wrong) // packing.lanes
    return index * per_row + offset


def _internal(trace: _Trace, device: Model, failing: Failing) -> dict[str, str]:
    """Nets named like an intermediate of the golden model, and the ports of a design behind an adapter."""
    names = [name for name in failing.described()["trace"] if name not in device.unit.inputs]
    nets = {}
    for name in names:
        found = sorted(trace.find(rf"\.(s\d+_)?{re.escape(name)}$"), key=lambda net: (len(net), net))
        if found:
            nets[found[0].split(".")[-1]] = found[0]  # the earliest stage
    if device.ports:
        for net in trace.find(r"\.dut\.\w+$"):
            nets.setdefault(net.split(".")[-1], net)
    return dict(list(nets.items())[:_NETS])


def _group(
    label: str,
    trace: _Trace,
    nets: dict[str, str],
    prefix: str = "",
    packing: Packing | None = None,
    cycles: Sequence[int] = (),
) -> list[Any]:
    lanes: list[Any] = [label]
    for name, net in nets.items():
        if not name.startswith(prefix):
            continue
        values = [trace.value(net, cycle) for cycle in cycles]
        if packing is not None and name.endswith("tdata"):
            lanes += [_lane(field, texts) for field, texts in _fields(packing, values)]
        elif trace.nets[net].is_1bit:
            lanes.append({"name": name.removeprefix("s_axis_").removeprefix("m_axis_"), "wave": _bits(values)})
        else:
            lanes.append(_lane(name, [f"0x{value:x}" for value in values]))
    return lanes


def _fields(packing: Packing, values: Sequence[int]) -> Iterator[tuple[str, list[str]]]:
    """Every field of every lane in decimal, as its format reads it."""
    for lane in range(packing.lanes):
        for field in packing.fields:
            low = 8 * (lane * packing.element_bytes + field.offset)
            codes = [value >> low & ((1 << field.bits) - 1) for value in values]
            sign = 1 << (field.bits - 1) if field.fmt.signed else 0
            name = field.port if packing.lanes == 1 else f"{field.port}[{lane}]"
            yield name, [str((code ^ sign) - sign) for code in codes]


def _bits(values: Sequence[int]) -> str:
    return "".join("." if k and value == values[k - 1] else str(value) for k, value in enumerate(values))


def _lane(name: str, texts: Sequence[str]) -> dict[str, Any]:
    wave, data = "", []
    for k, text in enumerate(texts):
        if k and text == texts[k - 1]:
            wave += "."
        else:
            wave += "="
            data.append(text)
    return {"name": name, "wave": wave, "data": data}
