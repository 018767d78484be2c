"""How far off an answer may be: a radius that 90 % of answers of a like score stay within.

Split-conformal, on labelled frames that were not trained on, by bins of the score (calibration/conformal.py). In:
errors in pixels of the frame, and scores. Out: a table, radius.json.
Next: csv_rows.py
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from sightline.calibration.conformal import BINS, COVERAGE, LEAST_IN_BIN, answers_needed, bounds_by_score
from sightline.errors import UserError
from sightline.files import write_atomically

RADIUS_FILE = "radius.json"


@dataclass(frozen=True, kw_only=True)
class RadiusTable:
    """Radii by score.

    Attributes:
        coverage: the share of answers within.
        edges: scores at which the next bin begins, ascending; one less than there are bins.
        radius_px: of each bin, lowest scores first, in pixels of the frame.
        counts: answers that each was fitted to.
    """

    coverage: float
    edges: tuple[float, ...]
    radius_px: tuple[float, ...]
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        """Check that the lists go together."""
        assert len(self.edges) + 1 == len(self.radius_px) == len(self.counts), self

    def to_json(self) -> str:
        """As it lies in radius.json."""
        return json.dumps(asdict(self), indent=1, allow_nan=False)

    def radius(self, score: float) -> float:
        """For an answer of this score."""
        return self.radius_px[int(np.searchsorted(self.edges, score, side="right"))]


def fit_radius(
    errors_px: np.ndarray,
    scores: np.ndarray,
    *,
    coverage: float = COVERAGE,
    bins: int = BINS,
    least: int = LEAST_IN_BIN,
) -> RadiusTable:
    """Radii from answers on labelled frames where both the answer and the truth are visible.

    Args:
        errors_px: [N] distances from the truth, in pixels of the frame.
        scores: [N] of these answers.
        coverage: the share of answers that must lie within.
        bins: of scores, at most; each has about as many answers.
        least: answers a bin; fewer bins where there are too few.

    Raises:
        UserError: too few answers to say anything at this coverage.
    """
    assert errors_px.shape == scores.shape, (errors_px.shape, scores.shape)
    needed = answers_needed(coverage)
    if len(scores) < needed:
        raise UserError(
            f"A radius for {coverage:.0%} of the answers needs at least {needed} visible points on labelled frames, "
            f"and there are {len(scores)}. Label more frames."
        )
    edges, bounds, counts = bounds_by_score(errors_px, scores, coverage=coverage, bins=bins, least=least)
    return RadiusTable(coverage=coverage, edges=tuple(edges), radius_px=tuple(bounds), counts=tuple(counts))


def write_radius(folder: Path, table: RadiusTable) -> Path:
    """Write radius.json into a run's or tracker's folder.

    Raises:
        UserError: it cannot be written.
    """
    path = folder / RADIUS_FILE
    write_atomically(path, table.to_json())
    return path


def read_radius(folder: Path) -> RadiusTable | None:
    """The table in a folder; None where there is none.

    Raises:
        UserError: it is damaged.
    """
    path = folder / RADIUS_FILE
    return parse_radius(path.read_text(encoding="utf-8", errors="replace"), where=str(path)) if path.is_file() else None


def parse_radius(text: str, *, where: str) -> RadiusTable:
    """The table in the text of radius.json.

    Raises:
        UserError: it is damaged.
    """
    try:
        values = json.loads(text)
        return RadiusTable(
            coverage=float(values["coverage"]),
            edges=tuple(map(float, values["edges"])),
            radius_px=tuple(map(float, values["radius_px"])),
            counts=tuple(map(int, values["counts"])),
        )
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        raise UserError(f"{where} is damaged ({error!r}). Delete it; points then come without a radius.") from error
