"""Picture tables and rows made by hand, for what judges an audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sightline.audit.differences import Effect, Measure, effects
from sightline.audit.skew import Row, Told
from sightline.metrics.picture_table import PictureTable
from sightline.report.words import describe

ERROR = Measure(name="mean_error_px", less_is_better=True)
LOSS = Measure(name="loss", less_is_better=True)
TOLD = Told(metric=describe("mean_error_px"), loss=describe("loss"))


def table(errors: Sequence[float] | np.ndarray, *, units: Sequence[int] | None = None) -> PictureTable:
    """One error a picture, which is metric and loss at once."""
    values = np.column_stack([np.asarray(errors, dtype=float), np.ones(len(errors))])
    return PictureTable(
        image_ids=tuple(f"{number:03d}" for number in range(len(errors))),
        units=np.arange(len(errors)) if units is None else np.asarray(units),
        sums={"mean_error_px": (values, "ratio"), "loss": (values, "ratio")},
    )


def rows_of(tables: Mapping[str, np.ndarray], *, axes: Mapping[str, str] | None = None) -> list[Row]:
    """Rows of a part from the errors under each condition; "plain" must be among them."""
    made = {"val": {key: table(errors) for key, errors in tables.items()}}
    found = effects(made, plain="plain", measure=ERROR)
    return [row_of(key, effect, axis=(axes or {}).get(key)) for (_, key), effect in found.items()]


def row_of(key: str, effect: Effect, *, axis: str | None = None) -> Row:
    """A row named WHAT:LEVEL; levels on and doubled are of an augmentation."""
    what, _, level = key.partition(":")
    kind = axis or ("augment" if level in ("on", "doubled") else "shift" if level else "strangers")
    return Row(key=key, axis=kind, what=what, level=level, words=key, part="val", metric=effect, loss=effect)
