"""What a benchmark found: rows of ours against something else, each with its bar where there is one.

Next: clock.py
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


def row(
    what: str,
    *,
    ours: float,
    unit: str,
    other: float | None = None,
    ratio: float | None = None,
    bar: str = "",
    met: bool | None = None,
    extra: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """One line of a result.

    Args:
        what: what was measured.
        ours: this program's number.
        unit: of `ours` and `other`.
        other: the number that it is compared with, or None.
        ratio: how many times better ours is; above 1 is better. None where nothing is compared.
        bar: what was asked for, in words; empty where nothing was.
        met: whether the bar is met; None without a bar.
        extra: further numbers by name.
    """
    assert math.isfinite(ours), (what, ours)
    assert (met is None) == (bar == ""), (what, bar, met)
    return {
        "what": what,
        "ours": ours,
        "other": other,
        "ratio": ratio,
        "unit": unit,
        "bar": bar,
        "met": met,
        "extra": dict(extra or {}),
    }


@dataclass(frozen=True, kw_only=True)
class BenchResult:
    """One benchmark's rows (see `row`) and what a reader must know to judge them."""

    name: str
    rows: list[dict[str, Any]]
    notes: tuple[str, ...] = ()

    @property
    def met(self) -> bool:
        """Whether every bar is met; true where there is none."""
        return all(line["met"] is not False for line in self.rows)

    def to_json(self) -> dict[str, Any]:
        """Plain values with stable keys."""
        return {"name": self.name, "met": self.met, "rows": self.rows, "notes": list(self.notes)}
