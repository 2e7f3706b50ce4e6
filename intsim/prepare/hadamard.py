"""Hadamard matrices of size 2**k and K * 2**k, and the rotations built from them.

``H`` holds +-1 and satisfies ``H @ H.T = n * I``. Sizes that are no power of two start from Paley's two
constructions over the integers modulo a prime (or over GF(25), GF(27)) and double from there.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np

from intsim.errors import IntsimError

__all__ = ["hadamard", "klt_hadamard", "rotation"]


@functools.cache
def _cached(size: int) -> np.ndarray:
    matrix = _build(size)
    if matrix is None:
        raise IntsimError(f"no Hadamard matrix of size {size} is built here; use 2**k or K * 2**k with K in {_bases()}")
    matrix.setflags(write=False)
    return matrix


def hadamard(size: int) -> np.ndarray:
    """A Hadamard matrix, int8[size, size] of +-1, Sylvester's order for powers of two.

    Raises
    ------
    IntsimError
        No construction reaches this size.
    """
    return _cached(int(size))


def rotation(size: int) -> np.ndarray:
    """The orthogonal matrix ``H / sqrt(size)``, float64."""
    return hadamard(size) / np.sqrt(size)


def klt_hadamard(samples: np.ndarray) -> np.ndarray:
    """An orthogonal matrix that gives every channel the same variance on `samples`.

    The eigenvectors of the samples' second moment diagonalise it; the Hadamard matrix then spreads the
    eigenvalues evenly, so each channel's second moment is their mean.

    Parameters
    ----------
    samples : float64[tokens, channels]

    Source: MambaQuant (arXiv 2501.13484), KLT-enhanced rotation.
    """
    samples = np.asarray(samples, dtype=np.float64)
    _, vectors = np.linalg.eigh(samples.T @ samples)
    return vectors @ rotation(samples.shape[1])


def _build(size: int) -> np.ndarray | None:
    if size == 1:
        return np.ones((1, 1), dtype=np.int8)
    if size < 1 or (size > 2 and size % 4):
        return None
    if size & (size - 1) == 0 or size % 8 == 0:
        half = _build(size // 2)
        if half is not None:
            return np.block([[half, half], [half, -half]])
    return _paley_first(size) if _is_field(size - 1) else _paley_second(size)


def _paley_first(size: int) -> np.ndarray | None:
    """``q = size - 1 = 3 mod 4``: I + S with S skew."""
    q = size - 1
    if not _is_field(q) or q % 4 != 3:
        return None
    skew = np.zeros((size, size), dtype=np.int8)
    skew[0, 1:], skew[1:, 0] = 1, -1
    skew[1:, 1:] = _residues(q)
    return skew + np.eye(size, dtype=np.int8)


def _paley_second(size: int) -> np.ndarray | None:
    """``q = size / 2 - 1 = 1 mod 4``: each entry of a symmetric conference matrix becomes a 2 x 2 block."""
    q = size // 2 - 1
    if not _is_field(q) or q % 4 != 1:
        return None
    conference = np.zeros((q + 1, q + 1), dtype=np.int8)
    conference[0, 1:] = conference[1:, 0] = 1
    conference[1:, 1:] = _residues(q)
    entry = np.array([[1, 1], [1, -1]], dtype=np.int8)
    diagonal = np.array([[1, -1], [-1, -1]], dtype=np.int8)
    return np.kron(conference, entry) + np.kron(np.eye(q + 1, dtype=np.int8), diagonal)


# Prime powers used: x**n = the polynomial's remainder, lowest coefficient first.
_EXTENSIONS = {25: (5, (3, 1)), 27: (3, (2, 1, 0))}


def _is_field(q: int) -> bool:
    return q in _EXTENSIONS or (q > 2 and all(q % d for d in range(2, int(q**0.5) + 1)))


def _residues(q: int) -> np.ndarray:
    """``chi(a - b)``: 1 for a square, -1 for a non-square, 0 on the diagonal."""
    elements, multiply, subtract = _field(q)
    squares = {multiply(e, e) for e in elements[1:]}
    chi = {e: 0 if e == elements[0] else 1 if e in squares else -1 for e in elements}
    return np.array([[chi[subtract(a, b)] for b in elements] for a in elements], dtype=np.int8)


def _field(q: int):
    """Elements of the field of `q` elements (tuples, zero first), its product and its difference."""
    p, remainder = _EXTENSIONS.get(q, (q, (0,)))
    degree = len(remainder)

    def multiply(a, b):
        product = [0] * (2 * degree - 1)
        for i, j in itertools.product(range(degree), repeat=2):
            product[i + j] += a[i] * b[j]
        for power in range(2 * degree - 2, degree - 1, -1):  # x**power = x**(power-degree) * remainder
            for i, c in enumerate(remainder):
                product[power - degree + i] += product[power] * c
        return tuple(c % p for c in product[:degree])

    def subtract(a, b):
        return tuple((i - j) % p for i, j in zip(a, b, strict=True))

    return list(itertools.product(range(p), repeat=degree)), multiply, subtract


def _bases() -> list[int]:
    return [k for k in range(12, 200, 4) if k % 8 and _build(k) is not None]
