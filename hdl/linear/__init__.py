"""Hardware of the linear operators, under the names of their golden models."""
