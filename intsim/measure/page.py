"""How pages of figures look: one HTML file that loads nothing, light and dark alike."""

from __future__ import annotations

from typing import Any

__all__ = ["environment", "number", "percent"]


def environment(*packages: str) -> Any:
    """A Jinja2 environment over the ``templates`` of packages, ``style.css.j2`` among them.

    Parameters
    ----------
    packages : such as ``hdl.flow``; this package's templates come last
    """
    import jinja2

    loaders = [jinja2.PackageLoader(package, "templates") for package in (*packages, "intsim.measure")]
    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    made.filters.update(number=number, percent=percent)
    return made


def number(value: Any, digits: int = 3) -> str:
    """Integers with thin spaces between thousands, other numbers with `digits` significant digits, None as a dash."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\u202f")
    if isinstance(value, float):
        text = f"{value:.{digits}g}"
        mantissa, e, exponent = text.partition("e")
        return f"{mantissa}·10{_superscript(int(exponent))}" if e else text
    return str(value)


def percent(value: float) -> str:
    """A share as a percentage."""
    return "0 %" if value == 0 else f"{100 * value:.3g} %"


def _superscript(value: int) -> str:
    return str(value).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
