import numpy as np
import pytest

from intsim import IntsimError
from intsim.prepare.calibrate import Axis, Observer, calibrate
from intsim.prepare.quantize import Range

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


def squared_error(values, scale, bits):
    most = (1 << (bits - 1)) - 1
    return float(((np.clip(np.rint(values / scale), -most - 1, most) * scale - values) ** 2).sum())


@pytest.mark.parametrize("bits", [4, 8])
def test_the_range_of_least_squared_error(bits):
    """As good as the best of a fine search over the values themselves, and no worse than the extremes."""
    values = np.random.default_rng(5).standard_t(4, 20_000)
    observer = Observer(range=Range.MSE)
    for part in np.array_split(np.sort(np.abs(values)) * np.sign(values), 7):  # ranges that grow from batch to batch
        observer.add(part.reshape(-1, 1))
    observer.add(np.zeros((1, 1)))
    signed = np.sort(np.abs(values)) * np.sign(values)
    found = squared_error(signed, float(observer.result().scale(bits)), bits)
    full = np.abs(values).max() / ((1 << (bits - 1)) - 1)
    best = min(squared_error(signed, full * share, bits) for share in np.linspace(0.2, 1, 400))
    assert found <= 1.03 * best
    assert found < (0.3 if bits == 4 else 0.95) * squared_error(signed, full, bits)
    assert observer.result().scale(16) == pytest.approx(np.abs(values).max() / 32767)


def test_values_of_one_magnitude_keep_their_range():
    observer = Observer(range=Range.MSE)
    observer.add(np.array([[3.0, -3.0, 0.0]]))
    assert float(observer.result().scale(8)) == pytest.approx(3 / 127, rel=0.01)
    assert Observer(range=Range.MSE).add(np.zeros((2, 2))) is None


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
    for wrong in ({"axis": Axis.CHANNEL}, {"percentile": 99.9}):
        with pytest.raises(IntsimError, match="whole tensor"):
            Observer(range=Range.MSE, **wrong)
    squared = calibrate(lambda x: {"x": x}, [np.ones((2, 2))], range="mse")["x"]
    with pytest.raises(IntsimError, match="symmetric"):
        squared.scale(8, symmetric=False)


def test_a_network_over_texts_and_images():
    def record(item):
        if isinstance(item, str):
            return {"length": np.array([[len(word) for word in item.split()]]).T}
        return {"pixels": item.reshape(-1, item.shape[-1])}

    (lengths,) = calibrate(record, ["a bb ccc", "dddd"], test=["other"]).values()
    assert (lengths.low, lengths.high, lengths.count) == (1, 4, 4)
    images = np.random.default_rng(0).standard_normal((3, 5, 5, 2))
    found = calibrate(record, images[:2], test=images[2:], axis=Axis.CHANNEL)["pixels"]
    np.testing.assert_array_equal(found.high, images[:2].max(axis=(0, 1, 2)))
    for data, test in ((["a b"], ["c", "a  b\n"]), (images, images[2:])):
        with pytest.raises(IntsimError, match="in the test data; calibrate on other data"):
            calibrate(record, data, test=test)
    with pytest.raises(IntsimError, match="no calibration data"):
        calibrate(record, [])
