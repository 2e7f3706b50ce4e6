"""Sphinx: Markdown pages, and the API reference from the docstrings."""

import intsim

project = "intsim"
author = "the intsim authors"
copyright = author
release = version = intsim.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc", "sphinx.ext.viewcode"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
numpydoc_show_class_members = False
autosummary_generate = False
add_module_names = False

html_theme = "furo"
html_title = "intsim"
html_copy_source = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"
