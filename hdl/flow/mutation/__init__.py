"""Faults planted in RTL: would the verification notice? ``mutate`` counts."""

from hdl.flow.mutation.campaign import mutate

__all__ = ["mutate"]
