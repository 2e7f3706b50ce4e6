"""What a sweep found: its points in order, and the best of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intsim.errors import IntsimError, UnknownName
from intsim.files import make_folder, write_files, write_text
from intsim.sweep.pareto import front

__all__ = ["Point", "Results"]

_NAME = "sweep.json"


@dataclass(frozen=True)
class Point:
    """One variant.

    Attributes
    ----------
    settings : by name, as JSON has them
    figures : by name; empty where it failed
    sha256 : of the unit; None where there is none
    error : why it failed; None where it did not
    """

    settings: Mapping[str, Any]
    figures: Mapping[str, Any]
    sha256: str | None = None
    error: str | None = None

    @property
    def numbers(self) -> dict[str, float]:
        """What a front can be drawn over: its figures, and its settings where they are numbers."""
        found = {**self.settings, **self.figures}
        kept = {n: v for n, v in found.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}
        return {} if self.error is not None else kept

    @property
    def file(self) -> str:
        """The unit's file in the sweep's folder."""
        return f"units/{(self.sha256 or '')[:12]}.json"


@dataclass(frozen=True)
class Results:
    """All points of a sweep, in the order of its grid.

    Attributes
    ----------
    head : which sweep it is
    varied : names of the settings that differ between points
    points : the points
    """

    head: Mapping[str, Any]
    varied: tuple[str, ...]
    points: tuple[Point, ...]

    @property
    def failed(self) -> tuple[Point, ...]:
        return tuple(point for point in self.points if point.error is not None)

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of all figures, and of all settings that are numbers."""
        return tuple(dict.fromkeys(name for point in self.points for name in point.numbers))

    def front(self, axes: Sequence[str]) -> list[Point]:
        """The points that no other beats on these axes; see :func:`intsim.sweep.front`.

        Raises
        ------
        UnknownName
            No point has such a figure or setting.
        """
        if not axes:
            raise IntsimError("a front needs at least one axis; name figures such as error,words")
        for axis in axes:
            if axis not in self.axes:
                raise UnknownName("figure", axis, self.axes)
        return [self.points[i] for i in front([point.numbers for point in self.points], axes)]

    def as_dict(self) -> dict[str, Any]:
        """The results as JSON has them; the same for the same sweep, wherever it ran."""
        points = []
        for point in self.points:
            body: dict[str, Any] = {"settings": dict(point.settings)}
            if point.sha256:
                body["sha256"] = point.sha256
            body |= {"figures": dict(point.figures)} if point.error is None else {"error": point.error}
            points.append(body)
        return {**self.head, "varied": list(self.varied), "points": points}

    def write(self, folder: str | Path, units: Mapping[str, str]) -> Path:
        """Write ``sweep.json`` and a file per unit.

        Parameters
        ----------
        units : JSON by SHA-256
        """
        home = make_folder(folder)
        write_files(home / "units", {f"{sha256[:12]}.json": text for sha256, text in units.items()})
        write_text(home / _NAME, json.dumps(self.as_dict(), indent=1) + "\n")
        return home / _NAME

    @classmethod
    def load(cls, path: str | Path) -> Results:
        """The results in a ``sweep.json``, or in the folder that holds one.

        Raises
        ------
        IntsimError
            There are none, or the file is damaged.
        """
        file = Path(path) / _NAME if Path(path).is_dir() else Path(path)
        try:
            body = json.loads(file.read_text(encoding="utf-8"))
            varied, points = body.pop("varied"), body.pop("points")
            found = [Point(p["settings"], p.get("figures", {}), p.get("sha256"), p.get("error")) for p in points]
        except OSError as error:
            raise IntsimError(f"cannot read {file}: {error.strerror}; give the folder of a finished sweep") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise IntsimError(f"{file} holds no sweep ({error}); run the sweep again") from None
        return cls(body, tuple(varied), tuple(found))
