"""What a stored number means."""

from intsim.formats.base import Format
from intsim.formats.blockfp import BFP, DBFP, Blocks
from intsim.formats.fixed import Fixed, Int
from intsim.formats.minifloat import BFloat16, Float16, Minifloat
from intsim.formats.parse import parse

__all__ = ["BFP", "DBFP", "BFloat16", "Blocks", "Fixed", "Float16", "Format", "Int", "Minifloat", "parse"]
