import numpy as np
import pytest

from intsim import IntsimError
from intsim.prepare.calibrate import Axis, Observer

X = np.random.default_rng(3).standard_normal((6, 50, 8)) * np.arange(1, 9)


@pytest.mark.parametrize("axis", Axis)
def test_extremes_do_not_depend_on_batches(axis):
    whole, parts = Observer(axis), Observer(axis)
    whole.add(X)
    for batch in X:
        parts.add(batch)
    a, b = whole.result(), parts.result()
    np.testing.assert_array_equal(a.low, b.low)
    np.testing.assert_array_equal(a.high, b.high)
    assert a.count == b.count == X.size
    expected = X.reshape(-1, 8).max(axis=0) if axis is Axis.CHANNEL else X.max()
    np.testing.assert_array_equal(a.high, expected)


def test_percentile_cuts_the_tail():
    spiky = X.copy()
    spiky[0, 0, 0] = 1e6
    cut = Observer(Axis.TENSOR, percentile=99.9)
    cut.add(spiky)
    assert cut.result().high < 40
    split = Observer(Axis.TENSOR, percentile=99.0)
    split.add(spiky[:2])
    split.add(spiky[2:])
    ends = [np.percentile(part, 99.0) for part in (spiky[:2], spiky[2:])]
    assert split.result().high == pytest.approx((ends[0] * 2 + ends[1] * 4) / 6, rel=1e-12)


def test_scales():
    observer = Observer()
    observer.add(np.array([[-1.0, 3.0]]))
    ranges = observer.result()
    assert ranges.scale(8) == 3 / 127
    assert ranges.scale(8, symmetric=False) == 4 / 255


def test_refusals():
    with pytest.raises(IntsimError, match="at least one batch"):
        Observer().result()
    with pytest.raises(IntsimError, match="not empty"):
        Observer().add(np.empty((0, 3)))
    observer = Observer(Axis.CHANNEL)
    observer.add(np.ones((2, 3)))
    with pytest.raises(IntsimError, match="channels as before"):
        observer.add(np.ones((2, 4)))
    with pytest.raises(IntsimError, match="percentile"):
        Observer(percentile=0)
