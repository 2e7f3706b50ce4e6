"""A shifter to the right that computes only the bits the result needs, and two bits about what it drops.

Each stage moves by a power of two, the largest first, and keeps only what can still reach the result's window: with
an 8-bit result the last stages are a few bits wide. One bit at each end remembers what is lost: `beyond`, a dropped
high bit differed from the sign, so the result does not fit the window; `rest`, a dropped low bit was set, so the
result is not exact.
"""

from __future__ import annotations

from collections.abc import Callable

from amaranth.hdl import Cat, Const, Mux, Value

from hdl.parts.pipeline import Values

__all__ = ["shift_to_window", "steps"]


def steps(most: int) -> tuple[int, ...]:
    """The powers of two that move by any amount up to `most`, the largest first."""
    return tuple(1 << k for k in reversed(range(most.bit_length())))


def shift_to_window(s: Values, window: int, most: int, between: Callable[[int], None]) -> None:
    """Move ``s.moving`` by ``s.amount`` bits to the right, into a window of bits.

    Parameters
    ----------
    s : values of the pipeline: ``moving`` (two's complement) and ``amount`` are read; ``window``, ``beyond`` and
        ``rest`` are named
    window : bits of the result, two's complement, at least 2
    most : the largest amount; 0 moves nothing
    between : called with the number of stages passed, before each stage but the first: the pipeline may cut there
    """
    s.moved0, s.beyond0, s.rest0 = s.moving, Const(0, 1), Const(0, 1)
    stages = steps(most)
    for k, step in enumerate(stages):
        if k:
            between(k)
        _stage(s, k, step, window + step - 1, s.amount[step.bit_length() - 1])
    last = len(stages)
    value = getattr(s, f"moved{last}")
    fits, beyond = _narrow(value, window)
    s.window = fits
    s.beyond = getattr(s, f"beyond{last}") | beyond
    s.rest = getattr(s, f"rest{last}")


def _stage(s: Values, k: int, step: int, keep: int, move: Value) -> None:
    """Move by `step` or not, and keep the low `keep` bits."""
    value, beyond, rest = (getattr(s, f"{name}{k}") for name in ("moved", "beyond", "rest"))
    here, here_beyond = _narrow(value, keep)
    there, there_beyond = _narrow(value >> step, keep)
    setattr(s, f"moved{k + 1}", Mux(move, there, here).as_signed())
    setattr(s, f"beyond{k + 1}", beyond | Mux(move, there_beyond, here_beyond))
    setattr(s, f"rest{k + 1}", rest | (move & value[:step].any()))


def _narrow(value: Value, keep: int) -> tuple[Value, Value]:
    """The low `keep` bits, two's complement, and whether the value is beyond them."""
    if len(value) <= keep:
        return value, Const(0, 1)
    sign = value[-1]
    return value[:keep].as_signed(), Cat(bit ^ sign for bit in value[keep - 1 : -1]).any()
