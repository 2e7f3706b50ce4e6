"""One module per library. Each offers functions named like the kinds of cases; one returns the work to be timed.

A library that has nothing alike has no such function. Data are made, and weights prepared, before the clock runs.
"""
