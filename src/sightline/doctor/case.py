"""What every check sees of a data set, and what it says about it.

In: a scanned Dataset. Out: a `Case` with its pictures looked at, and `suspect`, which makes a Problem of an id.
Next: look.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sightline.doctor.checks import CHECKS
from sightline.records import Dataset, Problem, Record
from sightline.splits import Split

SHOWN = 5  # names in a message
# Of a normal distribution the median absolute deviation times this is the standard deviation.
TO_SIGMA = 1.4826


@dataclass(frozen=True, kw_only=True, eq=False)
class Look:
    """What one look at a picture's file gave.

    Attributes:
        format: "JPEG", "PNG", ... by content.
        mode: Pillow's name of the kind of pixels.
        orientation: 1..8 as in EXIF.
        digest: of all bytes; equal when the files are equal.
        thumb: [32, 32] float32, grey levels 0..255 of the upright picture, squeezed.
    """

    format: str
    mode: str
    orientation: int
    digest: bytes
    thumb: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Copies:
    """Pictures that are the same. Each tuple is a cluster of two or more, in the data set's order."""

    exact: tuple[tuple[Path, ...], ...] = ()
    near: tuple[tuple[Path, ...], ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """A data set with what was found out about it once, for all checks.

    Attributes:
        looks: by picture; empty where pictures were not looked at.
        split: the parts that the data set gives or a recipe would make; None where it cannot be divided.
        no_split: why there is no split.
    """

    dataset: Dataset
    looks: Mapping[Path, Look] = field(default_factory=dict)
    copies: Copies = field(default_factory=Copies)
    split: Split | None = None
    no_split: str = ""

    @property
    def records(self) -> tuple[Record, ...]:
        """The usable records."""
        return self.dataset.records

    def records_of(self, path: Path) -> list[Record]:
        """The records of one picture."""
        return self._by_path.get(path, [])

    def __post_init__(self) -> None:
        """Sort the records by picture, once."""
        by_path: dict[Path, list[Record]] = {}
        for record in self.dataset.records:
            by_path.setdefault(record.path, []).append(record)
        object.__setattr__(self, "_by_path", by_path)

    _by_path: dict[Path, list[Record]] = field(init=False, repr=False)


def suspect(id: str, about: Record | Dataset, message: str) -> Problem:
    """A problem of a record, or of the whole data set, with the severity that the table gives its id."""
    severity = CHECKS[id].severity
    if isinstance(about, Dataset):
        return Problem(id=id, severity=severity, where=str(about.root), message=message)
    where = about.source or about.image_id
    return Problem(id=id, severity=severity, where=where, message=message, image_id=about.image_id)


def robust_scores(values: np.ndarray, *, least_sigma: float) -> np.ndarray:
    """How far values lie from their median, in robust standard deviations: [N], signed.

    Args:
        values: [N], finite.
        least_sigma: a floor, so that data that hardly vary (one camera, one size) do not turn rounding into outliers.
    """
    if len(values) == 0:
        return np.zeros(0)
    middle = np.median(values)
    sigma = TO_SIGMA * np.median(np.abs(values - middle))
    return (values - middle) / max(float(sigma), least_sigma)


def extents(xy: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """The longer side of the box around the visible points of each record, [N]; 0 without any.

    Args:
        xy: [N, K, 2].
        visible: [N, K].
    """
    shown = visible[..., None]
    low = np.where(shown, xy, np.inf).min(axis=1, initial=np.inf)
    high = np.where(shown, xy, -np.inf).max(axis=1, initial=-np.inf)
    return np.maximum(high - low, 0).max(axis=1)


def listed(names: Sequence[str]) -> str:
    """The first few names, and how many more."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
