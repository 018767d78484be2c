"""calibration.json: what a run keeps of its calibration, and what an exported artefact carries in its card.

Read by pydantic, so that a damaged file is refused with every mistake. Next: apply.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sightline.calibration.coverage import Checked
from sightline.calibration.measure import Measure
from sightline.calibration.probability import Curve
from sightline.errors import UserError
from sightline.files import write_atomically

CALIBRATION_FILE = "calibration.json"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Bound(_Part):
    """Bounds by score.

    Attributes:
        edges: scores at which the next bin begins, ascending; one less than there are bins.
        values: of each bin, lowest scores first, as shares of the scale (see `Measure`).
        counts: answers that each was fitted to.
    """

    edges: tuple[float, ...]
    values: tuple[float, ...]
    counts: tuple[int, ...]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not len(self.edges) + 1 == len(self.values) == len(self.counts):
            raise ValueError(f"{len(self.edges)} edges, {len(self.values)} values and {len(self.counts)} counts")
        if list(self.edges) != sorted(self.edges):
            raise ValueError("edges must rise")
        if min(self.values) < 0:
            raise ValueError("a bound is never below 0")
        return self


class Fit(_Part):
    """What was fitted to the answers on one point or class, or on all of them together.

    Attributes:
        name: of the point or class; "all".
        answers: that probabilities were fitted to.
        right: how many of them were.
        curve: from score to probability; None: that of all together holds.
        measured: answers that bounds were fitted to.
        bound: None: that of all together holds, where there is one.
        least_score: boxes below it were not fitted to and get no margin: the operating point.
        note: why there is no curve or bound of its own; empty where both are there.
    """

    name: str
    answers: int = Field(ge=0)
    right: int = Field(ge=0)
    curve: Curve | None = None
    measured: int = Field(ge=0)
    bound: Bound | None = None
    least_score: float = Field(default=0.0, ge=0, le=1)
    note: str = ""


class FittedOn(_Part):
    """The data of the fit: how many pictures, of how many clips or identities (or pictures), and their fingerprint."""

    pictures: int
    units: int
    fingerprint: str


class Calibration(_Part):
    """What turns scores into probabilities and bounds.

    Attributes:
        format: of this file.
        coverage: the share of new answers that shall lie within their bound.
        measure: what errors are divided by, and what is right.
        pooled: of all points or classes together.
        groups: of each, in the run's order.
        fitted_on: the validation part.
        checked: each half of it looked at with what the other half gave; None where it is too small for that.
    """

    format: Literal[1] = 1
    coverage: float = Field(gt=0, lt=1)
    measure: Measure
    pooled: Fit
    groups: tuple[Fit, ...]
    fitted_on: FittedOn
    checked: Checked | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Of the points or classes."""
        return tuple(group.name for group in self.groups)

    def to_json(self) -> str:
        """As it lies in calibration.json."""
        return self.model_dump_json(indent=1)


def write_calibration(path: Path, calibration: Calibration) -> None:
    """Write calibration.json.

    Raises:
        UserError: it cannot be written.
    """
    write_atomically(path, calibration.to_json())


def read_calibration(path: Path, *, names: tuple[str, ...]) -> Calibration | None:
    """The calibration in a file; None where there is none.

    Args:
        path: the file.
        names: the points or classes of the run.

    Raises:
        UserError: it is damaged, or speaks of other points or classes.
    """
    if not path.is_file():
        return None
    again = "Delete it, and predictions come without probability and radius; or train again."
    try:
        found = Calibration.model_validate_json(path.read_bytes())
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors()[:5])
        raise UserError(f"{path} is damaged ({told}). {again}") from error
    if found.names != names:
        raise UserError(
            f"{path} is of another run: it speaks of {_few(found.names)}, the run of {_few(names)}. {again}"
        )
    return found


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "") or "nothing"
