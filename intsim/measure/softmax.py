"""How far an integer softmax is from the exact one, row by row."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from intsim.errors import IntsimError, UnknownName
from intsim.files import write_bytes
from intsim.unit import Unit

__all__ = ["DISTANCES", "distances", "markdown", "picture", "row_distance", "score_rows", "synthetic_rows", "variants"]

DISTANCES = ("tv", "kl")


def row_distance(unit: Unit, rows: Any, distance: str = "tv") -> np.ndarray:
    """The distance of each row of probabilities from the exact softmax.

    ``"tv"``: total variation, half the sum of absolute differences. ``"kl"``: Kullback-Leibler divergence of the
    unit's row (made to sum to 1, with 2**-24 in place of 0) from the exact one, in nats.

    Parameters
    ----------
    unit : a softmax with one input port (masked ones: every element counts)
    rows : integer codes (..., n) of that port
    """
    if distance not in DISTANCES:
        raise UnknownName("distance", str(distance), DISTANCES)
    codes = np.asarray(rows)
    wanted = unit.real(next(iter(unit.inputs.values())).decode(codes))
    found = next(iter(unit.outputs.values())).decode(unit(codes))
    if distance == "tv":
        return np.abs(found - wanted).sum(axis=-1) / 2
    filled = np.maximum(found, 2.0**-24)
    filled /= filled.sum(axis=-1, keepdims=True)
    return np.sum(wanted * np.log(np.maximum(wanted, 2.0**-1000) / filled), axis=-1)


def synthetic_rows(n: int = 1024, rows: int = 64, seed: int = 0) -> dict[str, np.ndarray]:
    """Real scores of four kinds: flat, moderate, moderate with outliers, wide.

    "outliers": N(0, 1) with one element in 128 moved up by N(8, 3).
    """
    rng = np.random.default_rng(seed)
    outliers = rng.normal(0, 1, (rows, n))
    for row in outliers:
        row[rng.choice(n, max(n // 128, 1), replace=False)] += rng.normal(8, 3, max(n // 128, 1))
    return {
        "flat N(0, 0.5)": rng.normal(0, 0.5, (rows, n)),
        "N(0, 3)": rng.normal(0, 3, (rows, n)),
        "outliers": outliers,
        "N(0, 8)": rng.normal(0, 8, (rows, n)),
    }


STEP = 2.0**-8  # of the 16-bit scores that all variants are given


def variants() -> dict[str, Unit]:
    """The softmax units compared: one per paper, and the choices inside QANS and DB-Attn.

    All take 16-bit scores of step 2**-8 and, where they let one choose, give 24-bit probabilities, so that what is
    compared is the exponential and the sum, not the rounding of the result; I-BERT and I-LLM give 16 bits at most.
    """
    from intsim import catalogue
    from intsim.formats import Int
    from intsim.nonlinear import DBAttnSoftmax, DIClippedSoftmax, IBertSoftmax, QANSSoftmax, Shiftmax

    x = Int(16)
    fine: dict[str, Any] = {"x": x, "out_bits": 24}
    return {
        "I-ViT Shiftmax": Shiftmax.design(STEP, **fine),
        "I-BERT": IBertSoftmax.design(STEP, out_bits=16, x=x),
        "I-LLM clipped": DIClippedSoftmax.design(STEP, x=x, out_bits=16),
        "QANS 8 bit, beta 12": QANSSoftmax.design(STEP, 12, **fine),
        "QANS 8 bit, beta 20": QANSSoftmax.design(STEP, 20, **fine),
        "QANS, DULUT 32+64": QANSSoftmax.design(STEP, 20, exp=catalogue.get("dulut_exp20"), **fine),
        "QANS, NLI": QANSSoftmax.design(STEP, 16, exp=catalogue.get("nli_exp"), **fine),
        "DB-Attn, maximum": DBAttnSoftmax.design(STEP, hi=12, delta=0, **fine),
        "DB-Attn, median": DBAttnSoftmax.design(STEP, hi=12, delta=0, pivot=50, **fine),
        "DB-Attn, clipped": DBAttnSoftmax.design(STEP, delta=0, **fine),
        "DB-Attn, tag": DBAttnSoftmax.design(STEP, **fine),
        "DB-Attn, tag, factored": DBAttnSoftmax.design(STEP, low_bits=3, **fine),
        "DB-Attn, tag, single pass": DBAttnSoftmax.design(STEP, online=True, **fine),
    }


def score_rows() -> dict[str, np.ndarray]:
    """Codes of step 2**-8: the synthetic rows, and the stored attention scores of a real transformer."""
    from intsim.demo import activations
    from intsim.formats import Fixed

    fixed = Fixed(16, 8)
    scores = activations().scores
    found = {name: fixed.encode(rows, saturate=True) for name, rows in synthetic_rows().items()}
    found["MiniLM attention"] = fixed.encode(scores.reshape(-1, scores.shape[-1]), saturate=True)
    return found


def distances() -> dict[str, dict[str, float]]:
    """Mean total variation to the exact softmax: variant -> kind of rows -> distance."""
    rows = score_rows()
    return {
        name: {kind: float(row_distance(unit, codes).mean()) for kind, codes in rows.items()}
        for name, unit in variants().items()
    }


def markdown() -> str:
    """The distances as a table."""
    found = distances()
    kinds = list(next(iter(found.values())))
    lines = ["| softmax | " + " | ".join(kinds) + " |", "| --- |" + " ---: |" * len(kinds)]
    for name, row in found.items():
        lines.append(f"| {name} | " + " | ".join(f"{row[kind]:.1e}" for kind in kinds) + " |")
    return "\n".join(lines)


def picture(path: str | Path) -> Path:
    """Draw the distances: one row of marks per variant, one colour per kind of rows, logarithmic.

    Raises
    ------
    IntsimError
        The file cannot be written, or matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise IntsimError("matplotlib is missing: pip install 'intsim[plots]'") from None
    found = distances()
    figure = Figure(figsize=(8, 4.8), layout="constrained")
    axes = figure.add_subplot()
    names = list(found)
    for kind, colour in zip(next(iter(found.values())), _COLOURS, strict=True):
        axes.plot([found[name][kind] for name in names], range(len(names)), "o", color=colour, label=kind, alpha=0.85)
    axes.set_xscale("log")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel("mean total variation to the exact softmax")
    axes.grid(axis="x", which="both", alpha=0.25)
    axes.legend(fontsize="small")
    target = Path(path)
    stream = io.BytesIO()
    figure.savefig(stream, format=target.suffix.lstrip("."), metadata={"Date": None} if target.suffix == ".svg" else {})
    write_bytes(target, stream.getvalue())
    return target


_COLOURS = ("#1f6f8b", "#c8553d", "#588157", "#8d6a9f", "#22303c")
