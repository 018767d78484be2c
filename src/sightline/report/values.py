"""Plain values of files that may hold anything: what is a number, what is a list.

Next: prediction_rows.py
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

Row = dict[str, Any]
Task = Literal["points", "one-box", "boxes", "track"]


def number(value: object) -> float | None:
    """A finite number, or None for whatever else a file may hold in its place."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if np.isfinite(value) else None


def section(values: dict[str, Any], key: str) -> dict[str, Any]:
    """A nested part of a JSON object; empty where it is missing or of another kind."""
    found = values.get(key)
    return found if isinstance(found, dict) else {}


def rows(values: dict[str, Any], key: str) -> list[Any]:
    """A list in a JSON object; empty where it is missing or of another kind."""
    found = values.get(key)
    return found if isinstance(found, list) else []


def is_box(value: object) -> bool:
    """Whether this is x0, y0, x1, y1: four finite numbers."""
    return isinstance(value, list) and len(value) == 4 and None not in map(number, value)


def is_count(value: object) -> bool:
    """Whether this is a whole number from 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
