"""Hardware of the nonlinear operators, under the names of their golden models."""
