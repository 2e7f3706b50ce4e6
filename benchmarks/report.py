"""What a run says: ratios, as JSON, as a page and as a picture; and what changed since the runs before."""

from __future__ import annotations

import datetime
import json
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.aims import AIMS
from benchmarks.cases import CASES
from benchmarks.turns import LIBRARIES, ROOT
from intsim.files import make_folder, write_bytes, write_text

__all__ = ["compare", "draw", "load", "page", "record", "save"]

OURS, LIMITS, PLAIN = "intsim", "limits", "plain"
COPIED = 2 << 26  # bytes moved by the copy of 64 MB, read and written
MULTIPLIED = 2 * 512**3  # operations of the innermost loop's turn
SLOWER = 1.15  # a ratio to the best other library that grew by more is reported


def record(times: dict[str, dict[str, dict[str, Any]]], missing: dict[str, str], note: str = "") -> dict[str, Any]:
    """A run as it is stored: ratios beside the times they come from, and what is to be known of the machine then."""
    return {
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "processor": _processor(),
        "python": platform.python_version(),
        "missing": missing,
        "note": note,
        "cases": {name: _ratios(name, entry) for name, entry in times.items() if OURS in entry},
    }


def _ratios(name: str, entry: dict[str, dict[str, Any]]) -> dict[str, Any]:
    case, ours = CASES[name], entry[OURS]
    peers = {library: found for library, found in entry.items() if library not in (OURS, LIMITS, PLAIN)}
    best = min(peers, key=lambda library: peers[library]["median"], default=None)
    digests = {found.get("digest") for library, found in entry.items() if library not in (LIMITS, PLAIN)}
    result: dict[str, Any] = {
        "times": {library: {"best": found["best"], "median": found["median"]} for library, found in entry.items()},
        "peer": best,
        "to_peer": ours["median"] / peers[best]["median"] if best else None,
        "to_peer_best": ours["best"] / min(found["best"] for found in peers.values()) if best else None,
        "differs": len(digests - {None}) > 1,
    }
    if LIMITS in entry:
        whole = COPIED if case.limit == "copy" else MULTIPLIED
        for key in ("median", "best"):
            ideal = entry[LIMITS][key] * case.amount / whole
            result["of_limit" if key == "median" else "of_limit_best"] = ideal / ours[key]
    return result


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]}, {len(names)} processors" if names else platform.machine()


def load(folder: Path) -> list[dict[str, Any]]:
    """Runs stored before, oldest first."""
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


def save(run: dict[str, Any], folder: Path) -> Path:
    """The run as ``<time>-<commit>.json``."""
    stamp = run["when"].split("+")[0].replace(":", "").replace("-", "")
    path = make_folder(folder) / f"{stamp}-{run['commit']}.json"
    write_text(path, json.dumps(run, indent=1) + "\n")
    return path


def compare(before: Sequence[dict[str, Any]], run: dict[str, Any]) -> list[str]:
    """Cases whose ratio to the same best library grew by more than 15 % over the median of the last five runs."""
    found = []
    for name, case in run["cases"].items():
        past = [
            old["cases"][name]["to_peer"]
            for old in before
            if name in old["cases"]
            and old["processor"] == run["processor"]
            and old["cases"][name]["peer"] == case["peer"]
            and old["cases"][name]["to_peer"]
        ][-5:]
        if past and case["to_peer"] and case["to_peer"] > SLOWER * sorted(past)[len(past) // 2]:
            found.append(
                f"{name}: {case['to_peer']:.2f} of {case['peer']}'s time, was {sorted(past)[len(past) // 2]:.2f}"
            )
    return found


def page(run: dict[str, Any]) -> str:
    """The documentation's page."""
    lines = [
        "# Performance",
        "",
        "Made by `python -m benchmarks`. Every library runs in a process of its own and takes turns with the others",
        "on the same work; medians of the turns, with the best call of all in parentheses. The integer products are",
        "compared and are the same integers. **Of the other** is our time over that of the fastest other library",
        "(below 1 we are faster); **of the limit** is the time that the machine needs at best over ours: byte",
        "operations of the vector unit (AVX512-VNNI or what there is) on cached data, or the bytes that must be read",
        "and written at the speed of a 64 MB copy. A matrix unit (AMX) passes the first limit, operands in the cache",
        "the second. Work of one thread is timed by the processor time of the process, that of two by the clock.",
        "",
        f"{run['processor']}; Python {run['python']}; commit {run['commit']}, {run['when'][:10]}.",
        " ".join(filter(None, ("One thread unless said.", run.get("note")))),
        "",
        "| work | ours, ms | fastest other | its ms | of the other | of the limit |",
        "|---|---|---|---|---|---|",
    ]
    for name, case in run["cases"].items():
        ours, peer = case["times"][OURS], case["peer"]
        other = case["times"].get(peer)
        lines.append(
            f"| {CASES[name].title} | {_milliseconds(ours)} | {LIBRARIES.get(peer, '-')} | "
            f"{_milliseconds(other) if other else '-'} | {_ratio(case['to_peer'], case['to_peer_best'])} | "
            f"{_ratio(case.get('of_limit'), case.get('of_limit_best'))} |"
        )
    lines += ["", "What is aimed at, as ratios of medians (larger is better), and whether this run reached it:", ""]
    lines += ["| aim | at least | reached | |", "|---|---|---|---|", *_aims(run["cases"])]
    lines += ["", "All libraries, median milliseconds:", ""]
    shown = [
        name
        for name in LIBRARIES
        if name not in (LIMITS, PLAIN) and any(name in c["times"] for c in run["cases"].values())
    ]
    lines += [f"| work | {' | '.join(LIBRARIES[name] for name in shown)} |", "|---" * (len(shown) + 1) + "|"]
    for name, case in run["cases"].items():
        cells = [f"{1e3 * case['times'][k]['median']:.3g}" if k in case["times"] else "" for k in shown]
        lines.append(f"| {CASES[name].title} | {' | '.join(cells)} |")
    lines += ["", "![Ratio to the fastest other library, run by run](../pictures/performance.svg)", ""]
    lines += [
        "Large work is shared among the processors of this process; `INTSIM_THREADS` limits them. `INTSIM_KERNELS`",
        "names a slower route of integer products than the processor's fastest: `amx`, `vnni`, `sdot`, `pairs` or",
        "`blas`. Compiled code is kept in the cache folder; a kernel that is not there is compiled in seconds.",
        "",
    ]
    if run["missing"]:
        lines += [f"Not installed for this run: {', '.join(LIBRARIES[name] for name in run['missing'])}.", ""]
    return "\n".join(lines)


def _aims(cases: dict[str, Any]) -> list[str]:
    """A line for each aim that this run can tell."""
    lines = []
    for aim in AIMS:
        try:
            reached = aim.reached(cases)
        except KeyError:
            continue
        told = "yes" if reached >= aim.least else "**missed**"
        lines.append(f"| {aim.text} | {aim.least:.3g} | {reached:.3g} | {told} |")
    return lines


def _milliseconds(times: dict[str, float]) -> str:
    return f"{1e3 * times['median']:.3g} ({1e3 * times['best']:.3g})"


def _ratio(median: float | None, best: float | None) -> str:
    return "-" if median is None or best is None else f"{median:.2f} ({best:.2f})"


def draw(runs: Sequence[dict[str, Any]], path: Path) -> None:
    """Our time over that of the fastest other library: one row per case, one mark per run, the last one filled."""
    import io

    import matplotlib
    from matplotlib.figure import Figure

    names = [name for name, case in runs[-1]["cases"].items() if case["to_peer"]]
    figure = Figure(figsize=(8, 0.32 * len(names) + 1.2), layout="constrained")
    axes = figure.add_subplot()
    for age, run in enumerate(reversed(runs[-10:])):
        points = [
            (run["cases"][n]["to_peer"], i) for i, n in enumerate(names) if run["cases"].get(n, {}).get("to_peer")
        ]
        colour = "#c8553d" if age == 0 else "#8d99ae"
        axes.plot(*zip(*points, strict=True), "o" if age == 0 else ".", color=colour, alpha=1 if age == 0 else 0.5)
    axes.axvline(1, color="#22303c", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yticks(range(len(names)), [CASES[name].title for name in names], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("our time / fastest other library's (log); earlier runs in grey")
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "intsim"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    make_folder(path.parent)
    write_bytes(path, buffer.getvalue())
