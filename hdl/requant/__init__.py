"""Requantisers in hardware."""
