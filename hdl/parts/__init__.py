"""Small parts that units are built from."""
