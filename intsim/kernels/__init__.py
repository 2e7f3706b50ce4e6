"""Faster formulations of the operators, equal to them on every input.

Each stands beside an ``@exact`` function that stays the reference, and takes its place where operators run compiled
(:func:`intsim.exact.is_compiled`). Nothing here is public: the same calls reach it. Modules of this package load
Numba; they are imported on the first call that uses them.

``machine`` says what the processor has; ``dots`` and ``amx`` hold machine code for inner products, ``pack`` brings
operands into its order, ``gemm`` chooses among them; ``table`` memoises functions of few bits; ``rows`` holds the row
operators.
"""
