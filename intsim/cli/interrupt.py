"""Ctrl-C: one exit code and no traceback, wherever it falls."""

from __future__ import annotations

import _thread
import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

__all__ = ["Interrupts", "listening"]


class _Stop(KeyboardInterrupt):
    """What Ctrl-C raises. A class of its own: CPython leaves by the signal, whoever catches it, after a plain
    KeyboardInterrupt inside ``exec`` of a string, which is how dataclasses and Numba make functions."""


class Interrupts:
    """Whether Ctrl-C has been pressed.

    Attributes
    ----------
    seen : also where the exception was lost, as in a callback from the compiler
    """

    def __init__(self) -> None:
        self.seen = False

    def raise_stop(self, number: int, frame: FrameType | None) -> None:
        self.seen = True
        raise _Stop


@contextlib.contextmanager
def listening() -> Iterator[Interrupts]:
    """Ctrl-C raises a KeyboardInterrupt inside, and is remembered."""
    interrupts = Interrupts()
    if threading.current_thread() is not threading.main_thread():
        yield interrupts  # signals come to the main thread alone
        return
    before, hook = signal.getsignal(signal.SIGINT), sys.unraisablehook

    again: list[threading.Timer] = []

    def insist(unraisable: Any) -> None:
        if isinstance(unraisable.exc_value, _Stop):  # lost in a callback: once more, outside of it
            again.append(threading.Timer(0.02, _thread.interrupt_main))
            again[-1].start()
        elif not interrupts.seen:  # else it comes of objects left half made
            hook(unraisable)

    if before is not signal.SIG_IGN:  # a job in the background stays deaf
        signal.signal(signal.SIGINT, interrupts.raise_stop)
    sys.unraisablehook = insist
    try:
        yield interrupts
    finally:
        for timer in again:
            timer.cancel()
        sys.unraisablehook = hook
        if before is not None:
            signal.signal(signal.SIGINT, before)
