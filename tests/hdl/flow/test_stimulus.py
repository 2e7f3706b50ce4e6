"""What a unit is fed with."""

import numpy as np
import pytest
from flow_units import S16, FromFirst, Mean, Total

from hdl.flow.stimulus import Stimulus
from intsim.formats import Int


def test_every_combination_once():
    unit = Mean(Int(10), Int(9, signed=False))
    seen = np.concatenate([np.stack(batch, axis=1) for batch in Stimulus(unit).batches()])
    assert len(seen) == Stimulus(unit).total == 2**19
    assert len(np.unique(seen[:, 0].astype(np.int64) * 2**16 + seen[:, 1])) == 2**19
    assert (seen.min(), seen.max()) == (-512, 511)


def test_every_row_once():
    unit = Total(x=Int(3), max_row=4)
    batches = [batch[0] for batch in Stimulus(unit).batches()]
    assert [b.shape for b in batches] == [(8, 1), (64, 2), (512, 3), (4096, 4)]
    assert all(len(np.unique(b, axis=0)) == len(b) for b in batches)


def test_corners_come_first_then_as_many_random_ones_as_asked():
    unit = Mean(S16, S16)
    first, *rest = Stimulus(unit, vectors=1 << 21).batches()
    assert [c.tolist() for c in first] == [c.tolist() for c in unit.corners()]
    assert sum(len(a) for a, _ in rest) == 1 << 21


def test_small_values_are_not_rare():
    a, _ = list(Stimulus(Mean(S16, S16), vectors=1 << 16).batches())[1]
    assert np.count_nonzero(np.abs(a.astype(int)) < 16) > len(a) // 10


def test_near_ties_are_used_where_a_unit_knows_them():
    class Knowing(Mean):
        def near_ties(self):
            return np.array([12345]), np.array([-321])

    batches = list(Stimulus(Knowing(S16, S16), vectors=16).batches())
    assert [c.tolist() for c in batches[1]] == [[12345], [-321]]


def test_rows_of_every_shape():
    unit = FromFirst()
    rows = [row for (batch,) in Stimulus(unit, vectors=1 << 14).batches() for row in batch.tolist()]
    lengths = {len(row) for row in rows}
    assert {1, 2, 3, 15, 16} <= lengths
    long = [row for row in rows if len(row) == 16]
    assert [-128] * 16 in long
    assert [127] * 16 in long
    assert [127] + [-128] * 15 in long  # one-hot
    assert any(row == sorted(row) and len(set(row)) > 8 for row in long)  # a ramp


@pytest.mark.parametrize("fmt", [Int(64), Int(64, signed=False), Int(1, signed=False), Int(33)])
def test_extreme_formats(fmt):
    rows = [batch[0] for batch in Stimulus(FromFirst(x=fmt, max_row=16), vectors=1 << 10)._shaped_rows()]
    assert min(int(r.min()) for r in rows) == fmt.lo
    assert max(int(r.max()) for r in rows) == fmt.hi


def test_the_seed_decides():
    def draw(seed):
        return [c.tolist() for batch in Stimulus(Mean(S16, S16), seed, vectors=100).batches() for c in batch]

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)
