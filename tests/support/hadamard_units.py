"""The Hadamard transforms that golden model, hardware and protocol tests run."""

from __future__ import annotations

from intsim.formats import Int
from intsim.linear import Hadamard
from intsim.rounding import TIES_AWAY, TIES_TO_POS, TO_NEG, TO_ZERO

__all__ = ["HADAMARDS"]

HADAMARDS = {
    "growth_2": Hadamard(2),
    "growth_4": Hadamard(4, x=Int(4)),
    "shifted_4": Hadamard(4, "shifted", x=Int(4)),
    "requantised_4": Hadamard(4, "requantised", 21, 5, 5, x=Int(4), rounding=TIES_AWAY),
    "shifted_8": Hadamard(8, "shifted", rounding=TIES_TO_POS),
    "unsigned_8": Hadamard(8, x=Int(6, signed=False)),
    "requantised_16": Hadamard.design(16),
    "shifted_16": Hadamard(16, "shifted", rounding=TO_ZERO),
    "growth_12": Hadamard(12),
    "requantised_20": Hadamard(20, "requantised", 37, 8, 6, rounding=TO_NEG),
    "shifted_48": Hadamard(48, "shifted", x=Int(5)),
}
