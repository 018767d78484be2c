"""What each condition does to metric and loss, against the plain input on the very same pictures.

The bootstrap draws the same pictures (clips, persons) for both, so that what all inputs find hard falls out. Holm's
correction is over all rows of the audit, for each measure by itself. Knows no task and needs no torch.
In: picture tables. Out: `Effect`.
Next: findings.py
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from sightline.compare.components import Components, difference, score
from sightline.compare.scores import RESAMPLES, RESAMPLES_OF_BOXES, SEED
from sightline.compare.verdict import Verdict, holm, on_these_runs
from sightline.metrics.picture_table import PictureTable
from sightline.metrics.units import drawn_counts


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A number that conditions are judged by."""

    name: str
    less_is_better: bool

    def error(self, value: float) -> float:
        """How far the number is from perfect: itself, or what a share or IoU lacks to 1."""
        return value if self.less_is_better else 1.0 - value


@dataclass(frozen=True, kw_only=True)
class Effect:
    """A measure under one condition against the plain input.

    Attributes:
        plain: on the plain input.
        value: under the condition.
        low: of the 95 % interval of value - plain; None with a single unit.
        high: likewise.
        p: of no difference; None with a single unit.
        p_corrected: by Holm.
        verdict: "better", "worse" or "cannot tell".
        harm: by which part the error grew: 0.5 is half as much again, -0.2 a fifth less.
    """

    plain: float
    value: float
    low: float | None
    high: float | None
    p: float | None
    p_corrected: float | None
    verdict: Verdict
    harm: float

    @property
    def difference(self) -> float:
        """Value minus plain."""
        return self.value - self.plain


Tables = Mapping[str, PictureTable]  # by condition
Place = tuple[str, str]  # part, condition


def effects(parts: Mapping[str, Tables], *, plain: str, measure: Measure) -> dict[Place, Effect]:
    """Every condition of every part against the part's plain input.

    A condition under which the measure has no value (nothing is left to be scored) is left out.

    Args:
        parts: tables of the same pictures within each part.
        plain: the key of the plain condition.
        measure: a metric of the tables.
    """
    found: dict[Place, tuple[Effect, Components]] = {}
    for part, tables in parts.items():
        base = _drawn(tables[plain], measure.name)
        if base is None:
            continue
        units = int(tables[plain].units.max()) + 1
        for key, table in tables.items():
            assert table.image_ids == tables[plain].image_ids, f"{part}, {key}: other pictures"
            other = None if key == plain else _drawn(table, measure.name)
            if other is not None:
                found[part, key] = _effect(other, base, units=units, measure=measure, count=len(table))
    corrected = holm([effect.p for effect, _ in found.values()])
    return {
        place: replace(effect, p_corrected=p, verdict=on_these_runs(parted, p=p, less_is_better=measure.less_is_better))
        for (place, (effect, parted)), p in zip(found.items(), corrected, strict=True)
    }


def between_parts(one: PictureTable, other: PictureTable, *, measure: Measure) -> Effect | None:
    """A measure on other pictures (`one`) against those of `other`; None where one has no value."""
    drawn = [_drawn(table, measure.name, seed=SEED + place) for place, table in enumerate((one, other))]
    if drawn[0] is None or drawn[1] is None:
        return None
    units = [int(table.units.max()) + 1 for table in (one, other)]
    singles = [score(*each, units=count) for each, count in zip(drawn, units, strict=True) if each is not None]
    known = [single.pictures for single in singles if single.pictures is not None]
    parted = Components(
        value=singles[0].value - singles[1].value,
        pictures=sum(known) if len(known) == 2 else None,
        units=min(units),
        seeds=None,
        seed_freedom=0.0,
        single_seed=0.0,
    )
    effect = _told(parted, plain=singles[1].value, value=singles[0].value, measure=measure, count=len(other))
    verdict = on_these_runs(parted, p=effect.p, less_is_better=measure.less_is_better)
    return replace(effect, p_corrected=effect.p, verdict=verdict)


def _drawn(table: PictureTable, name: str, *, seed: int = SEED) -> tuple[np.ndarray, np.ndarray] | None:
    """The value [1], and those in resamples of the units [1, R]; None where the pictures give none."""
    if name not in table.names:
        return None
    value = table.values(name, np.ones((1, len(table))))
    if not np.isfinite(value).all():
        return None
    resamples = RESAMPLES if name in table.sums else RESAMPLES_OF_BOXES
    return value, table.values(name, drawn_counts(table.units, resamples=resamples, seed=seed))[None]


def _effect(
    one: tuple[np.ndarray, np.ndarray],
    base: tuple[np.ndarray, np.ndarray],
    *,
    units: int,
    measure: Measure,
    count: int,
) -> tuple[Effect, Components]:
    parted = difference(*one, *base, units=units)
    return _told(parted, plain=float(base[0][0]), value=float(one[0][0]), measure=measure, count=count), parted


def _told(parted: Components, *, plain: float, value: float, measure: Measure, count: int) -> Effect:
    half = parted.half_width()
    # Where nothing was wrong there is nothing to divide by: as if one picture of all had been.
    least = 1e-9 if measure.less_is_better else 1.0 / count
    harm = (measure.error(value) - measure.error(plain)) / max(measure.error(plain), least)
    return Effect(
        plain=plain,
        value=value,
        low=None if half is None else parted.value - half,
        high=None if half is None else parted.value + half,
        p=parted.p_value(),
        p_corrected=None,
        verdict="cannot tell",
        harm=harm if math.isfinite(harm) else 0.0,
    )
