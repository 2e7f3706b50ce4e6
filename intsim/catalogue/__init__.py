"""Ready-made units, stored as JSON in the package and found by name.

``python -m intsim.catalogue.design`` designs all of them again.
"""

from intsim.catalogue.store import get, names, path_of

__all__ = ["get", "names", "path_of"]
