"""``python -m hdl.flow.mutation``: the report."""

from hdl.flow.mutation.page import main

main()
