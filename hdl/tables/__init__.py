"""Hardware of the table units."""
