"""The bus between a unit's registers and the shell in front of them: words, one cycle, an error flag each way."""

from __future__ import annotations

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["RegisterBus"]


class RegisterBus(wiring.Signature):
    """32-bit registers as a unit shows them to its shell.

    Reading and writing are independent. The unit answers in the same cycle; an access that must not be (no such
    register, one that cannot be read or written, or not now) sets the error and changes nothing.

    Parameters
    ----------
    address_bits : of a word's address, in words

    Members
    -------
    write, write_address, write_data : from the shell; ``write`` is high for one cycle per access
    write_error : from the unit, valid with ``write_address`` (also while ``write`` is low)
    read_address : from the shell
    read_data, read_error : from the unit
    """

    def __init__(self, address_bits: int):
        self.address_bits = address_bits
        super().__init__(
            {
                "write": Out(1),
                "write_address": Out(address_bits),
                "write_data": Out(32),
                "write_error": In(1),
                "read_address": Out(address_bits),
                "read_data": In(32),
                "read_error": In(1),
            }
        )
