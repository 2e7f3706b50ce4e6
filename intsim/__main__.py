"""``python -m intsim`` is ``intsim``."""

from intsim.cli import main

if __name__ == "__main__":
    main()
