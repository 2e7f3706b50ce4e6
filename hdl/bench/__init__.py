"""Protocol tests with cocotb: a driver, a monitor and a scoreboard for any unit, and the runner that starts them.

In the simulator, a test file needs a few lines::

    import cocotb
    from hdl.bench import Testbench, stalls, stimulus

    @cocotb.test()
    async def under_pressure(dut):
        tb = Testbench(dut)
        await tb.start(stalls(0.5, seed=1))
        await tb.send(stimulus(tb.unit, 10_000, seed=2), stalls(0.1, seed=3))
        assert await tb.finish() == 10_000

Outside, :func:`run` builds the unit's hardware for Verilator, runs the file and returns counts::

    hdl.bench.run(unit, "tb_mine.py", stages=4)

or, from the command line, ``python -m hdl.bench unit.json tb_mine.py stages=4``.
"""

from hdl.bench.pauses import gaps, never, stalls
from hdl.bench.runner import BenchFailed, Results, run
from hdl.bench.scoreboard import Scoreboard
from hdl.bench.stream import Driver, Monitor, Receiver, Stream
from hdl.bench.testbench import Given, Testbench, given, report, stimulus

__all__ = [
    "BenchFailed",
    "Driver",
    "Given",
    "Monitor",
    "Receiver",
    "Results",
    "Scoreboard",
    "Stream",
    "Testbench",
    "gaps",
    "given",
    "never",
    "report",
    "run",
    "stalls",
    "stimulus",
]
