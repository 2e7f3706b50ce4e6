"""Settings that every test shares."""

import os

# One thread per process: tests run in parallel processes, and BLAS threads would only get in each other's way.
for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

from hypothesis import settings  # noqa: E402

# Repeatable, and without a time limit per example: the first call of an operator compiles it.
settings.register_profile("intsim", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("intsim")
