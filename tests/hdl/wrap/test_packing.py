"""Where values lie in the bytes of a stream."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hdl.wrap.packing import Packing
from intsim.formats import Int

PORTS = {"a": Int(12), "b": Int(5, signed=False), "c": Int(20), "d": Int(64)}


def columns(ports, shape, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(f.lo, f.hi, size=shape, dtype=f.dtype, endpoint=True) for f in ports.values()]


def test_bytes_of_one_element():
    """Each port padded to bytes by its sign, the first port lowest."""
    packing = Packing.of({"a": Int(12), "b": Int(5, signed=False), "c": Int(20)})
    beats = packing.pack([np.array([-2], np.int16), np.array([31], np.uint8), np.array([-3], np.int32)])
    assert packing.data_bytes == 6
    assert beats.tobytes() == b"\xfe\xff" + b"\x1f" + b"\xfd\xff\xff"


def test_lanes_follow_each_other_and_keep_is_per_byte():
    packing = Packing.of({"x": Int(16), "y": Int(8)}, lanes=3, row=True)
    beats = packing.pack([np.array([[1, 2, 3, 4]], np.int16), np.array([[5, 6, 7, 8]], np.int8)])
    assert beats["data"].tobytes() == bytes([1, 0, 5, 2, 0, 6, 3, 0, 7]) + bytes([4, 0, 8, 0, 0, 0, 0, 0, 0])
    assert beats["keep"].tolist() == [[0xFF, 0x01], [0x07, 0x00]]
    assert beats["last"].tolist() == [0, 1]


@pytest.mark.parametrize("bits", range(1, 65))
@pytest.mark.parametrize("signed", [False, True])
def test_every_width_comes_back(bits, signed):
    fmt = Int(bits, signed)
    packing = Packing.of({"x": fmt})
    values = np.array([fmt.lo, fmt.hi, max(fmt.lo, -1), 0, fmt.hi // 3], dtype=fmt.dtype)
    (back,) = packing.unpack(packing.pack([values]))
    assert back.dtype == fmt.dtype
    assert back.tolist() == values.tolist()


@given(rows=st.integers(1, 5), n=st.integers(1, 9), lanes=st.integers(1, 5), seed=st.integers(0, 99))
def test_rows_come_back(rows, n, lanes, seed):
    packing = Packing.of(PORTS, lanes=lanes, row=True)
    given_columns = columns(PORTS, (rows, n), seed)
    beats = packing.pack(given_columns)
    assert beats.size == rows * -(-n // lanes)
    assert packing.kept(beats).sum() == rows * n
    assert int(beats["last"].sum()) == rows
    for before, after in zip(given_columns, packing.unpack(beats), strict=True):
        assert after.tolist() == before.reshape(-1).tolist()
