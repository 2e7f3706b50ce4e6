"""What a unit costs, measured once: placed on an FPGA, and counted in gates."""

from __future__ import annotations

import json
from typing import Any

from hdl.flow import tools
from hdl.flow.emission import rtl
from hdl.flow.placement import pack, place
from hdl.flow.synthesis import synth
from intsim.files import make_folder, write_text
from intsim.unit import Unit

__all__ = ["cost"]


def cost(
    unit: Unit,
    *,
    seeds: int = 1,
    gates_of: Unit | None = None,
    known_only: bool = False,
    device: str = "LFE5U-25F",
    gates: str = "nand2",
    placed: bool = True,
    **options: Any,
) -> dict[str, Any] | None:
    """Cells, clock rate and gates of a unit's hardware.

    Results are kept in the user's cache under a hash of the emitted Verilog, so that a second question costs a
    moment, and a changed unit is measured again.

    Parameters
    ----------
    seeds : placements; Fmax is their median
    gates_of : a smaller unit to count gates of, such as one with a short row memory
    known_only : measure nothing; None where nothing is known
    device : a Lattice ECP5, for units that need more of it
    gates : how gates are counted, ``nand2`` or ``nand2_logic``; see :func:`hdl.flow.synthesis.synth`
    placed : or only packed, which leaves ``fmax`` and ``critical`` None
    **options : the component's own, such as ``stages``

    Returns
    -------
    dict
        ``comb``, ``ff``, ``dsp``, ``bram`` on the device at speed grade 6, ``fmax`` in MHz between
        registers, ``critical``, ``nand2``, the area in two-input NAND gates, and ``memories``, those left out
        of it.
    """
    folder = make_folder(tools.cache() / "operators")
    asked = "".join(f"-{word}" for word in (device, gates) if word not in ("LFE5U-25F", "nand2"))
    asked += "" if placed else "-packed"
    known = folder / f"{rtl(unit, **options).key[:32]}-{seeds}{asked}.json"
    if known.exists():
        return json.loads(known.read_text(encoding="utf-8"))
    if known_only:
        return None
    if placed:
        found = place(unit, device=device, seeds=tuple(range(1, seeds + 1)), **options)
    else:
        found = pack(unit, device=device, **options)
    gate_count = synth(unit if gates_of is None else gates_of, gates, **options)
    result = {
        "comb": found["utilisation"]["TRELLIS_COMB"],
        "ff": found["utilisation"]["TRELLIS_FF"] - found["harness_ff"],
        "dsp": found["utilisation"]["MULT18X18D"],
        "bram": found["utilisation"]["DP16KD"],
        "fmax": found.get("fmax_mhz"),
        "critical": found.get("critical_path"),
        "nand2": gate_count["area"],
        "memories": gate_count["summary"].get("memory", 0),
    }
    write_text(known, json.dumps(result))
    return result
