"""One unit for every nonlinearity of a transformer: loadable tables, run-time modes, row operators."""

from intsim.engine.bank import Bank
from intsim.engine.driver import Driver, bank_writes
from intsim.engine.engine import Engine, Mode
from intsim.engine.functions import FUNCTIONS, stored_bank
from intsim.engine.registers import register_map

__all__ = ["FUNCTIONS", "Bank", "Driver", "Engine", "Mode", "bank_writes", "register_map", "stored_bank"]
