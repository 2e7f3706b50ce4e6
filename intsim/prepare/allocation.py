"""Bit widths per layer by integer linear programming.

Source: HAWQ-V3 (arXiv 2011.10680), section 3.4: choose a width per layer so that the sensitivity-weighted
perturbation is least, under limits on model size, bit operations or latency, with layers that share an
activation tied to one width. The paper has two widths and one limit at a time; here any number of widths and
any set of limits is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from intsim.errors import IntsimError

__all__ = ["Allocation", "Limit", "allocate", "bit_operations", "model_size"]


@dataclass(frozen=True)
class Limit:
    """An upper bound on the sum of a cost over all layers.

    Attributes
    ----------
    name : what is limited, such as ``"size"``
    cost : float64[layers, widths], the cost of each layer at each width
    most : the bound, in the unit of `cost`
    """

    name: str
    cost: np.ndarray
    most: float


@dataclass(frozen=True)
class Allocation:
    """The widths chosen.

    Attributes
    ----------
    bits : width per layer
    objective : summed perturbation of the choice, in the unit given
    used : what each limit's cost sums to
    """

    bits: tuple[int, ...]
    objective: float
    used: Mapping[str, float]


def allocate(
    perturbation: np.ndarray,
    widths: Sequence[int],
    limits: Sequence[Limit],
    ties: Sequence[Sequence[int]] = (),
) -> Allocation:
    """The widths of least total perturbation within all limits, proven optimal by the solver.

    Parameters
    ----------
    perturbation : float64[layers, widths]; HAWQ-V3: trace of the Hessian times the squared change of the weights
    widths : the bit width of each column
    limits : bounds that must all hold
    ties : groups of layer indices that must get one width

    Raises
    ------
    IntsimError
        Shapes that do not fit, or no choice within the limits: says which limit cannot be met, and its least value.
    """
    perturbation = np.asarray(perturbation, dtype=np.float64)
    layers, columns = _check_shapes(perturbation, widths, limits, ties)
    from scipy.optimize import Bounds, LinearConstraint, milp  # needed by this step only

    constraints = [LinearConstraint(np.kron(np.eye(layers), np.ones(columns)), 1, 1)]  # one width per layer
    for limit in limits:
        constraints.append(
            LinearConstraint(np.asarray(limit.cost, dtype=np.float64).reshape(1, -1), -np.inf, limit.most)
        )
    for group in ties:
        for other in group[1:]:
            rows = np.zeros((columns, layers, columns))
            rows[:, group[0], :] = np.eye(columns)
            rows[:, other, :] -= np.eye(columns)
            constraints.append(LinearConstraint(rows.reshape(columns, -1), 0, 0))
    solution = milp(
        perturbation.reshape(-1),
        integrality=np.ones(layers * columns),
        bounds=Bounds(0, 1),
        constraints=constraints,
        options={"mip_rel_gap": 0.0},
    )
    if solution.x is None:
        raise IntsimError(_infeasible(limits))
    choice = solution.x.reshape(layers, columns).argmax(axis=1)
    layer = np.arange(layers)
    return Allocation(
        bits=tuple(int(widths[c]) for c in choice),
        objective=float(perturbation[layer, choice].sum()),
        used={limit.name: float(np.asarray(limit.cost)[layer, choice].sum()) for limit in limits},
    )


def model_size(parameters: np.ndarray, widths: Sequence[int]) -> np.ndarray:
    """Bytes per layer and width: float64[layers, widths], in the unit of `parameters` (weights per layer)."""
    return np.outer(np.asarray(parameters, dtype=np.float64), np.asarray(widths) / 8)


def bit_operations(macs: np.ndarray, widths: Sequence[int]) -> np.ndarray:
    """Bit operations per layer, ``macs * b * b`` with weights and activations both `b` bits wide.

    HAWQ-V3 counts them relative to 32 x 32 bits: divide by 1024.
    """
    return np.outer(np.asarray(macs, dtype=np.float64), np.asarray(widths, dtype=np.float64) ** 2)


def _check_shapes(
    perturbation: np.ndarray, widths: Sequence[int], limits: Sequence[Limit], ties: Sequence[Sequence[int]]
) -> tuple[int, int]:
    if perturbation.ndim != 2 or perturbation.shape[1] != len(widths) or not perturbation.size:
        raise IntsimError(
            f"perturbation must be [layers, {len(widths)} widths], got {perturbation.shape}; one column per width"
        )
    for limit in limits:
        if np.shape(limit.cost) != perturbation.shape:
            raise IntsimError(f"limit {limit.name!r}: cost is {np.shape(limit.cost)}, must be {perturbation.shape}")
    for group in ties:
        outside = [i for i in group if not 0 <= i < perturbation.shape[0]]
        if outside:
            raise IntsimError(f"tie {tuple(group)} names layer {outside[0]}; layers are 0..{perturbation.shape[0] - 1}")
    return perturbation.shape[0], perturbation.shape[1]


def _infeasible(limits: Sequence[Limit]) -> str:
    for limit in limits:
        least = float(np.asarray(limit.cost).min(axis=1).sum())
        if least > limit.most:
            return f"limit {limit.name!r} = {limit.most:g} cannot be met: the least possible is {least:g}; raise it"
    return "no widths satisfy all limits together; raise a limit or loosen a tie"
