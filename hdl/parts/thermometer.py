"""Thermometer codes: bits of which the lowest ones are set."""

from __future__ import annotations

from amaranth.hdl import C, Cat, Value

__all__ = ["count_thermometer"]


def count_thermometer(bits: Value) -> Value:
    """How many of `bits` are set, where those set are the lowest ones: an exclusive or per bit of the answer."""
    if not len(bits):
        return C(0, 1)
    return Cat(bits[(1 << j) - 1 :: 1 << j].xor() for j in range(len(bits).bit_length()))
