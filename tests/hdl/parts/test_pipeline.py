"""The pipeline helper: values arrive once, in order, in their own stage; nothing runs through combinationally."""

import random

import pytest
from amaranth.back import rtlil
from amaranth.hdl import ClockDomain, Module, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator
from cones import cone

from hdl.parts.pipeline import Pipeline, choose_cuts
from intsim import IntsimError

PAYLOAD = data.StructLayout({"a": signed(6), "b": signed(6)})
CUTS = ("multiply", "select", "add")


class Example(wiring.Component):
    """``a * b + table[a & 3] + b``, with a lazily carried operand, a list, a conditional and a memory."""

    def __init__(self, cuts=None, *, clocked=True):
        super().__init__({"i": In(stream.Signature(PAYLOAD)), "o": Out(stream.Signature(signed(16)))})
        self.cuts, self.clocked = cuts, clocked
        self.table = Memory(shape=8, depth=4, init=[10, 20, 30, 40])
        self.port = self.table.read_port(domain="sync" if clocked else "comb")

    def elaborate(self, platform):
        m = Module()
        m.submodules.table = self.table
        pipe = Pipeline(m, self.i, self.o, cuts=self.cuts)
        s = pipe.values
        s.a, s.b = pipe.payload.a, pipe.payload.b
        pipe.read("word", self.port, s.a[:2])
        pipe.cut()
        s.pair = [s.a * s.b, s.word + s.b]
        pipe.cut("multiply")
        with m.If(s.b < 0):  # naming values inside a condition must not make their registers conditional
            s.left = s.pair[0]
        s.right = s.pair[1]
        pipe.cut("select")
        s.total = s.left + s.right
        pipe.cut("add")
        pipe.end(s.total)
        self.depth, self.nets = pipe.stage, pipe.nets
        return m


def expected(a, b):
    return a * b + [10, 20, 30, 40][a & 3] + b


def drive(top, pairs, *, stall, gap, seed=0):
    """Results in order, and the cycle of each."""
    rng = random.Random(seed)
    got = []

    async def bench(ctx):
        taken = cycle = 0
        valid = False
        offered = None
        while len(got) < len(pairs):
            valid = valid or (taken < len(pairs) and rng.random() >= gap)
            a, b = pairs[min(taken, len(pairs) - 1)]
            ctx.set(top.i.valid, valid)
            ctx.set(top.i.payload, {"a": a, "b": b})
            ctx.set(top.o.ready, rng.random() >= stall)
            if offered is not None:
                assert ctx.get(top.o.valid), "valid fell before the result was taken"
                assert ctx.get(top.o.payload) == offered, "the payload changed before it was taken"
            offered = ctx.get(top.o.payload) if ctx.get(top.o.valid & ~top.o.ready) else None
            if ctx.get(top.i.valid & top.i.ready):
                taken, valid = taken + 1, False
            if ctx.get(top.o.valid & top.o.ready):
                got.append((ctx.get(top.o.payload), cycle))
            await ctx.tick()
            cycle += 1
            assert cycle < 100 * len(pairs), "stuck"

    simulator = Simulator(top)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return got


def some_pairs(count, seed=1):
    rng = random.Random(seed)
    return [(rng.randint(-32, 31), rng.randint(-32, 31)) for _ in range(count)]


@pytest.mark.parametrize("clocked", [True, False])
@pytest.mark.parametrize("chosen", [None, (), ("multiply",), ("select", "add")])
@pytest.mark.parametrize(("stall", "gap"), [(0.0, 0.0), (0.6, 0.0), (0.0, 0.6), (0.5, 0.5), (0.9, 0.1)])
def test_results_come_in_order_whatever_stalls(clocked, chosen, stall, gap):
    pairs = some_pairs(150)
    got = drive(Example(chosen, clocked=clocked), pairs, stall=stall, gap=gap)
    assert [value for value, _ in got] == [expected(a, b) for a, b in pairs]


@pytest.mark.parametrize(("chosen", "depth"), [(None, 4), ((), 1), (("add",), 2), (("multiply", "add"), 3)])
def test_full_rate_and_a_latency_of_one_cycle_per_cut(chosen, depth):
    top = Example(chosen)
    got = drive(top, some_pairs(50), stall=0, gap=0)
    assert [cycle for _, cycle in got] == list(range(depth, depth + 50))
    assert top.depth == depth


def test_registers_are_named_by_stage_and_only_what_is_read_is_carried():
    top = Example()
    rtlil.convert(top)
    assert top.nets["a"] == {0: "s0_a", 1: "s1_a"}
    assert top.nets["b"] == {0: "s0_b", 1: "s1_b", 2: "s2_b"}
    assert top.nets["word"] == {1: "s1_word"}
    assert top.nets["total"] == {3: "s3_total", 4: "s4_total"}


def test_a_reset_empties_the_pipeline():
    top = Example()
    seen = []

    async def bench(ctx):
        ctx.set(top.i.valid, 1)
        ctx.set(top.o.ready, 0)
        await ctx.tick().repeat(10)
        assert ctx.get(top.o.valid)
        assert not ctx.get(top.i.ready)
        ctx.set(top.i.valid, 0)
        ctx.set(reset, 1)
        await ctx.tick()
        ctx.set(reset, 0)
        ctx.set(top.o.ready, 1)
        for _ in range(10):
            seen.append((ctx.get(top.o.valid), ctx.get(top.i.ready)))
            await ctx.tick()

    m = Module()
    m.submodules.top = top
    m.domains.sync = domain = ClockDomain()
    reset = domain.rst
    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert seen == [(0, 1)] * 10


@pytest.mark.parametrize("clocked", [True, False])
@pytest.mark.parametrize("chosen", [None, ()])
@pytest.mark.parametrize("wire", ["i__ready", "o__valid", "o__payload"])
def test_no_output_depends_combinationally_on_any_input(clocked, chosen, wire):
    assert cone(Example(chosen, clocked=clocked), wire) == set()


def test_the_cone_finds_a_combinational_path():
    """The check above can fail: a component that answers at once has one."""

    class Through(wiring.Component):
        i: In(stream.Signature(4))
        o: Out(stream.Signature(4))

        def elaborate(self, platform):
            m = Module()
            m.d.comb += [
                self.o.valid.eq(self.i.valid),
                self.i.ready.eq(self.o.ready),
                self.o.payload.eq(self.i.payload),
            ]
            return m

    assert cone(Through(), "i__ready") == {"o__ready"}


class Misuse(wiring.Component):
    i: In(stream.Signature(4))
    o: Out(stream.Signature(4))

    def __init__(self, build):
        super().__init__()
        self.build = build

    def elaborate(self, platform):
        m = Module()
        memory = m.submodules.memory = Memory(shape=4, depth=16, init=[])
        try:
            self.build(Pipeline(m, self.i, self.o), memory)
        except IntsimError as error:
            self.error = error  # raised later: Amaranth warns of modules that are dropped half-made
        return m


def twice(pipe, memory):
    pipe.values.x = pipe.payload
    pipe.values.x = pipe.payload


def unknown(pipe, memory):
    pipe.values.x = pipe.payload
    pipe.values.y  # noqa: B018


def too_early(pipe, memory):
    pipe.read("word", memory.read_port(), pipe.payload)
    pipe.values.word  # noqa: B018


def misspelt(pipe, memory):
    pipe._cuts = {"multply"}
    pipe.cut()
    pipe.cut("multiply")
    pipe.end(pipe.payload)


def uncut(pipe, memory):
    pipe.end(pipe.payload)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (twice, "one name means one value"),
        (unknown, "no value 'y' yet; known: x"),
        (too_early, "cut once"),
        (uncut, "at least one cut"),
        (misspelt, r"no cuts \['multply'\]; known: multiply"),
    ],
)
def test_misuse_is_explained(build, message):
    top = Misuse(build)
    rtlil.convert(top)
    with pytest.raises(IntsimError, match=message):
        raise top.error


def test_the_first_cuts_of_an_order_are_chosen():
    assert choose_cuts(CUTS, 2) == {"multiply", "select"}
    for stages in (0, 4, -1, 1.5, True):
        with pytest.raises(IntsimError, match="1 to 3 stages"):
            choose_cuts(CUTS, stages)
