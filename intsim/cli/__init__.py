"""The command line: ``intsim VERB ...``, one file per verb."""
