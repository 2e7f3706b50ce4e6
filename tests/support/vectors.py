"""Outputs of other projects' code, stored under tests/vectors, case by case."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["cases", "load_case"]

FOLDER = Path(__file__).parents[1] / "vectors"


def cases(project: str, operator: str) -> list[str]:
    """The stored cases of one operator, such as ``softmax_r0``."""
    constants = json.loads((FOLDER / project / "constants.json").read_text())
    found = [case for case in constants if case.startswith(f"{operator}_")]
    assert found, f"no case of {operator} in {project}"
    return found


def load_case(project: str, case: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Constants and arrays of one case, the arrays by their short names."""
    constants = json.loads((FOLDER / project / "constants.json").read_text())[case]
    with np.load(FOLDER / project / "vectors.npz") as stored:
        arrays = {name[len(case) + 1 :]: stored[name] for name in stored.files if name.startswith(f"{case}_")}
    # `gelu_ramp` is also the beginning of `gelu_ramp_p2`
    return constants, {name: values for name, values in arrays.items() if not name.startswith("p2_")}
