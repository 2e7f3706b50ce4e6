"""How values lie in the bytes of a stream: one description for the hardware shell and for NumPy.

An **element** is one value of every port, in port order, each padded to whole bytes, the first port in the lowest
bytes. A **beat** is one transfer: the elements of all lanes, the first lane in the lowest bytes. Outputs are padded
by their sign (zeros if unsigned); the padding of inputs is ignored. ``tkeep`` has one bit per byte, all bits of a
lane alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from intsim.formats import Format

__all__ = ["Field", "Packing"]


@dataclass(frozen=True)
class Field:
    """One port inside an element: `offset` and `size` in bytes, of which the low `bits` bits are the code."""

    port: str
    fmt: Format
    offset: int

    @property
    def size(self) -> int:
        return -(-self.fmt.bits // 8)

    @property
    def bits(self) -> int:
        return self.fmt.bits


@dataclass(frozen=True)
class Packing:
    """The bytes of one stream.

    Parameters
    ----------
    fields : the ports, in order
    lanes : elements per beat
    row : whether beats carry ``last`` (and, with several lanes, ``keep``)
    """

    fields: tuple[Field, ...]
    lanes: int = 1
    row: bool = False

    @classmethod
    def of(cls, ports: Mapping[str, Format], lanes: int = 1, row: bool = False) -> Packing:
        """The packing of ports in their order."""
        fields, offset = [], 0
        for port, fmt in ports.items():
            fields.append(Field(port, fmt, offset))
            offset += fields[-1].size
        return cls(tuple(fields), lanes, row)

    @property
    def element_bytes(self) -> int:
        return sum(field.size for field in self.fields)

    @property
    def data_bytes(self) -> int:
        """Bytes of ``tdata``."""
        return self.element_bytes * self.lanes

    @property
    def keep_bytes(self) -> int:
        """Bytes that hold the bits of ``tkeep``; 0 where there is none."""
        return -(-self.data_bytes // 8) if self.row and self.lanes > 1 else 0

    @property
    def signals(self) -> list[tuple[str, int]]:
        """Names and widths of what travels with the stream, in bits: ``tdata``, ``tvalid``, ``tlast``, ``tkeep``."""
        carried = [("tdata", 8 * self.data_bytes), ("tvalid", 1)]
        if self.row:
            carried.append(("tlast", 1))
        if self.keep_bytes:
            carried.append(("tkeep", self.data_bytes))
        return carried

    @cached_property
    def record(self) -> np.dtype:
        """One beat in memory: ``data[lane][port]``, then ``keep`` and ``last`` where they exist."""
        element = np.dtype(
            {
                "names": [f.port for f in self.fields],
                "formats": [_container(f) for f in self.fields],
                "offsets": [f.offset for f in self.fields],
                "itemsize": self.element_bytes,
            }
        )
        members: list = [("data", element, (self.lanes,))]
        if self.keep_bytes:
            members.append(("keep", np.uint8, (self.keep_bytes,)))
        if self.row:
            members.append(("last", np.uint8))
        return np.dtype(members)

    def pack(self, columns: Sequence[np.ndarray]) -> np.ndarray:
        """Beats for one array per port: 1-D, or ``(rows, n)`` if the stream has rows.

        Returns
        -------
        array of :attr:`record`, 1-D
        """
        rows, n = columns[0].shape if self.row else (1, columns[0].size)
        beats = -(-n // self.lanes)
        out = np.zeros((rows, beats), dtype=self.record)
        for field, column in zip(self.fields, columns, strict=True):
            values = column.reshape(rows, n)
            if n != beats * self.lanes:
                values = np.pad(values, ((0, 0), (0, beats * self.lanes - n)))
            _put(out["data"][field.port], values.reshape(rows, beats, self.lanes), field)
        if self.keep_bytes:
            out["keep"] = self._keep(self.lanes)
            out["keep"][:, -1] = self._keep(n - (beats - 1) * self.lanes)
        if self.row:
            out["last"][:, -1] = 1
        return out.reshape(-1)

    def unpack(self, beats: np.ndarray) -> list[np.ndarray]:
        """The elements of `beats`, one 1-D array per port; lanes that are not kept are left out."""
        columns = [_get(beats["data"][field.port], field).reshape(-1) for field in self.fields]
        if self.keep_bytes:
            kept = self.kept(beats).reshape(-1)
            columns = [column[kept] for column in columns]
        return columns

    def kept(self, beats: np.ndarray) -> np.ndarray:
        """Which lanes of each beat hold an element: ``(beats, lanes)`` booleans."""
        if not self.keep_bytes:
            return np.ones((beats.size, self.lanes), dtype=bool)
        bits = np.unpackbits(beats["keep"], axis=1, bitorder="little")[:, : self.data_bytes]
        return bits.reshape(beats.size, self.lanes, self.element_bytes)[:, :, 0] != 0

    def _keep(self, lanes: int) -> np.ndarray:
        bits = np.zeros(self.keep_bytes * 8, dtype=np.uint8)
        bits[: lanes * self.element_bytes] = 1
        return np.packbits(bits, bitorder="little")


def _container(field: Field):
    kind = "i" if field.fmt.signed else "u"
    return np.dtype(f"<{kind}{field.size}") if field.size in (1, 2, 4, 8) else np.dtype((np.uint8, (field.size,)))


def _put(target: np.ndarray, values: np.ndarray, field: Field) -> None:
    if field.size in (1, 2, 4, 8):
        target[...] = values
        return
    wide = np.ascontiguousarray(values.astype("<i8" if field.fmt.signed else "<u8"))
    target[...] = wide.view(np.uint8).reshape(*values.shape, 8)[..., : field.size]


def _get(stored: np.ndarray, field: Field) -> np.ndarray:
    if field.size in (1, 2, 4, 8):
        return stored.astype(field.fmt.dtype)
    wide = np.zeros((*stored.shape[:-1], 8), dtype=np.uint8)
    wide[..., 8 - field.size :] = stored  # at the top, so that the shift back extends the sign
    values = wide.view("<i8" if field.fmt.signed else "<u8")[..., 0] >> (64 - 8 * field.size)
    return values.astype(field.fmt.dtype)
