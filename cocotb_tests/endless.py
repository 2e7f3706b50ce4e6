"""Inside the simulator: rows whose sender says no end."""

from __future__ import annotations

import numpy as np

from hdl.bench import Testbench, never, report
from hdl.bench.scoreboard import beats, records

__all__ = ["send_without_ends"]


async def send_without_ends(tb: Testbench, rows: np.ndarray) -> None:
    """Send rows of the greatest length as one that ends with the last of them: each is answered as a row of its own."""
    sent = tb.beats([rows])
    await tb._driver.send([*((*beat[:-1], 0) for beat in sent[:-1]), sent[-1]], never())
    for _ in range(10_000):
        if tb.received.complete == len(rows):
            break
        await tb.cycle()
    wanted, got = beats(tb.outputs.pack([tb.unit(rows)]), tb.outputs), tb.received.beats
    assert [beat[1:] for beat in got] == [beat[1:] for beat in wanted]
    assert np.array_equal(tb.outputs.unpack(records(got, tb.outputs))[0], tb.unit(rows).reshape(-1))
    report(rows.size)
