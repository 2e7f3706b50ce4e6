"""The front against its definition, point by point."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from intsim.sweep import front
from intsim.sweep.pareto import LARGER_IS_BETTER

AXES = ("error", "fmax", "words")
values = st.one_of(st.none(), st.integers(0, 4), st.floats(0, 4, allow_nan=False))
points = st.lists(st.fixed_dictionaries({axis: values for axis in AXES}), max_size=30)


def beats(a, b, axes):
    """By the definition: nowhere worse, somewhere better."""
    no_worse = [a[x] >= b[x] if x in LARGER_IS_BETTER else a[x] <= b[x] for x in axes]
    return all(no_worse) and any(a[x] != b[x] for x in axes)


@given(points, st.sampled_from([AXES, AXES[:2], AXES[1:], ("words",)]))
def test_front_is_what_no_point_beats(figures, axes):
    complete = [i for i, p in enumerate(figures) if all(p[x] is not None for x in axes)]
    expected = {i for i in complete if not any(beats(figures[j], figures[i], axes) for j in complete)}
    found = front(figures, axes)
    assert len(found) == len(set(found))
    assert set(found) == expected


@given(points)
def test_best_on_the_first_axis_comes_first(figures):
    found = front(figures, ("fmax", "error"))
    assert [figures[i]["fmax"] for i in found] == sorted((figures[i]["fmax"] for i in found), reverse=True)
    for i, j in pairwise(found):
        if figures[i]["fmax"] == figures[j]["fmax"]:
            assert figures[i]["error"] == figures[j]["error"]  # equal points stay together


def test_a_case_by_hand():
    names = ("slow and small", "fast and large", "slow and large", "the first again")
    figures = [
        {"fmax": 50, "comb": 100},
        {"fmax": 90, "comb": 300},
        {"fmax": 50, "comb": 300},
        {"fmax": 50, "comb": 100},
    ]
    assert [names[i] for i in front(figures, ("fmax", "comb"))] == [
        "fast and large",
        "slow and small",
        "the first again",
    ]
    assert front([], ("fmax",)) == []
    assert front([{"comb": 1}], ("fmax",)) == []
