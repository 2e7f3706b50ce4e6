"""The door to the hardware half, which is an extra."""

from __future__ import annotations

from types import ModuleType

from intsim.errors import IntsimError

__all__ = ["flow"]


def flow() -> ModuleType:
    """``hdl.flow``.

    Raises
    ------
    IntsimError
        The extra is not installed.
    """
    try:
        import hdl.flow
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in ("hdl", "intsim"):
            raise
        raise IntsimError(f"{error.name} is missing, needed for hardware: pip install 'intsim[hdl]'") from None
    return hdl.flow
