"""Functions as tables of integers."""

from intsim.tables.nli import NLI

__all__ = ["NLI"]
