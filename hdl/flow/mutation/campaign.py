"""``mutate``: how much of what could be wrong with a design its verification would notice."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from hdl.flow import tools
from hdl.flow.emission import rtl
from hdl.flow.mutation.cone import Cones
from hdl.flow.mutation.equivalence import SideBySide
from hdl.flow.mutation.faults import KINDS, Fault, bit_faults, watch, word_faults
from hdl.flow.mutation.netlist import prepare, to_verilog
from hdl.flow.mutation.trial import Planted, Trial
from hdl.flow.stimulus import Stimulus
from intsim.errors import IntsimError
from intsim.unit import Unit

__all__ = ["EQUIVALENT", "KILLED", "MISSED", "MORE", "MUTANTS", "UNEXPLAINED", "VECTORS", "mutate"]

KILLED, EQUIVALENT, MISSED, UNEXPLAINED = "killed", "equivalent", "missed", "unexplained"

MUTANTS = 100
"""Single-bit faults; of each kind of designer's fault at most a fifth as many."""

VECTORS = 1 << 17
"""Random inputs (elements for a row unit) for each mutant where not every input can be tried."""

_TIMEOUT = 20_000  # cycles without a transfer after which a mutant counts as hanging
MORE = 8
"""Times as many inputs for those that survive."""


def mutate(
    unit: Unit,
    *,
    mutants: int = MUTANTS,
    seed: int = 1,
    vectors: int = VECTORS,
    simulator: str = "verilator",
    stimulus: Stimulus | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Plant faults in the RTL of a unit, one at a time, and count those that the ordinary verification notices.

    Survivors are tried further. A fault in data alone that no input shows is equivalent; so is the enable of a register
    that every input leaves at zero, and what induction by SMT shows to change nothing; what many more inputs, or other
    pauses, show is missed; the rest is unexplained.

    Parameters
    ----------
    unit : any unit with hardware
    mutants : single-bit faults (Yosys's ``mutate``); of each other kind (:mod:`hdl.flow.mutation.faults`) at most a
        fifth as many
    seed : which faults, and of the random inputs
    vectors : random inputs (elements for a row unit) where not every input can be tried
    simulator : ``verilator`` or ``cxxrtl``
    stimulus : inputs to try instead of the ordinary ones
    progress : called with the mutants done and all of them
    **options : the component's own, such as ``stages``

    Returns
    -------
    dict
        ``unit``, ``sha256``, ``mutants``, ``killed``, ``killed_by_corners`` (by the unit's own alone), ``equivalent``,
        ``missed``, ``unexplained``, ``share`` (killed of those not shown equivalent), ``kinds`` (the same counts by
        kind), ``survivors`` (``kind``, ``fault``, ``verdict``, ``shown_by``), ``inputs`` (per mutant), ``exhaustive``,
        ``seed``, ``seconds``, ``tools``.

    Raises
    ------
    IntsimError
        The design fails its verification without a fault, or does not compile.
    """
    tools.require("amaranth", "yosys", "z3")
    begin = time.perf_counter()
    if mutants < 1:
        raise IntsimError(f"mutants is {mutants}; at least 1 is needed")
    trial = Trial(unit, stimulus or Stimulus(unit, seed, vectors))
    bench = _Bench(unit, mutants, seed, simulator, options)
    bench.device.select(0)
    broken = trial.corners_notice(bench.device) or trial.notices(bench.device)
    if broken:
        raise IntsimError(f"{unit.name} fails without any fault ({broken}); run verify first")
    found = []
    for number, fault in enumerate(bench.faults, 1):
        found.append(bench.judge(number, fault, trial))
        if progress:
            progress(number, len(bench.faults))
    return {
        "unit": unit.name,
        "sha256": unit.sha256,
        **_counts(found),
        "kinds": {kind: _counts([verdict for verdict in found if verdict.fault.kind == kind]) for kind in KINDS},
        "survivors": [
            {"kind": v.fault.kind, "fault": v.fault.text, "verdict": v.verdict, "shown_by": v.shown_by}
            for v in found
            if v.verdict != KILLED
        ],
        "inputs": trial.inputs,
        "exhaustive": trial.exhaustive,
        "seed": seed,
        "seconds": round(time.perf_counter() - begin, 3),
        "tools": tools.versions("verilator" if simulator == "verilator" else "yosys", "g++", "z3"),
    }


@dataclass(frozen=True)
class _Judged:
    """A fault, what became of it, by what that is shown, and whether the unit's corners alone show it."""

    fault: Fault
    verdict: str
    shown_by: str
    by_corners: bool = False


class _Bench:
    """One design with all its faults planted, simulated and, where needed, as formulas."""

    def __init__(self, unit: Unit, mutants: int, seed: int, simulator: str, options: Mapping[str, Any]):
        design = rtl(unit, **options)
        netlist, commands = prepare(design, mutants, seed)
        self.unit, self._top, self._seed = unit, design.top, seed
        cones = Cones(netlist)
        by_cells = word_faults(netlist, max(mutants // 5, 1), seed)
        by_bits = bit_faults(netlist, commands)
        self.faults = [*by_cells, *by_bits]
        self._data = [cones.only_data(fault) for fault in self.faults]
        enables = [(number, fault) for number, fault in enumerate(by_cells, 1) if fault.port == "EN"]
        held = [number for number, fault in enables if cones.only_data(replace(fault, port="Q"))]
        for number, fault in enumerate(by_cells, 1):
            assert fault.plant is not None
            fault.plant(netlist, number)
        self._watched: dict[int, int] = {}  # fault -> the question whether its register is ever anything but zero
        for number in held:
            self._watched[number] = len(self.faults) + len(self._watched) + 1
            watch(netlist, self._watched[number], self.faults[number - 1].cell)
        numbered = [fault.numbered(number) for number, fault in enumerate(by_bits, len(by_cells) + 1)]
        self._verilog = to_verilog(netlist, numbered)
        self.device = Planted(design, self._verilog, simulator, _TIMEOUT)

    @cached_property
    def _formulas(self) -> SideBySide:
        return SideBySide(self._verilog, self._top)

    @cached_property
    def _further(self) -> Trial:
        return Trial(self.unit, Stimulus(self.unit, self._seed + 1, VECTORS * MORE))

    def judge(self, number: int, fault: Fault, trial: Trial) -> _Judged:
        """Try one fault."""
        self.device.select(number)
        noticed = trial.corners_notice(self.device)
        if noticed:
            return _Judged(fault, KILLED, noticed, True)
        noticed = trial.notices(self.device, self._data[number - 1])
        return _Judged(fault, KILLED, noticed) if noticed else self._survivor(number, fault, trial)

    def _survivor(self, number: int, fault: Fault, trial: Trial) -> _Judged:
        alone = self._data[number - 1]
        if trial.exhaustive and alone:
            return _Judged(fault, EQUIVALENT, f"every one of {trial.inputs:,} inputs; it touches data alone")
        if trial.exhaustive and number in self._watched:
            self.device.select(self._watched[number])
            if trial.notices(self.device, data_alone=True) is None:
                return _Judged(fault, EQUIVALENT, f"the register is zero for every one of {trial.inputs:,} inputs")
        if self._formulas.same(number):
            return _Judged(fault, EQUIVALENT, "induction over clock cycles, by SMT")
        tried = trial if trial.exhaustive else self._further
        if not trial.exhaustive:
            self.device.select(number)
            noticed = tried.notices(self.device, alone)
            if noticed:
                return _Judged(fault, MISSED, f"{tried.inputs:,} inputs: {noticed}")
            if tried.exhaustive and alone:
                return _Judged(fault, EQUIVALENT, f"every one of {tried.inputs:,} inputs; it touches data alone")
        return _Judged(fault, UNEXPLAINED, f"{tried.inputs:,} inputs do not show it")


def _counts(found: Sequence[_Judged]) -> dict[str, Any]:
    by_verdict = {verdict: 0 for verdict in (KILLED, EQUIVALENT, MISSED, UNEXPLAINED)}
    for judged in found:
        by_verdict[judged.verdict] += 1
    different = len(found) - by_verdict[EQUIVALENT]
    share = by_verdict[KILLED] / different if different else 1.0
    by_corners = sum(judged.by_corners for judged in found)
    return {"mutants": len(found), **by_verdict, "killed_by_corners": by_corners, "share": round(share, 4)}
