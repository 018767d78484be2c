"""How far off an answer may be: a radius that 90 % of answers of a like score stay within.

Split-conformal: on labelled frames that were not trained on, the errors of the answers with a like score are sorted,
and the radius is the ceil((n + 1) * 0.9)-th of them. Where frames are exchangeable, at least 90 % of new answers lie
within, whatever the network (Vovk et al. 2005; Lei et al. 2018). In: errors and scores. Out: a table, radius.json.
Next: csv_rows.py
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from sightline.errors import UserError
from sightline.files import write_atomically

RADIUS_FILE = "radius.json"
COVERAGE = 0.9


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
    errors_px: np.ndarray, scores: np.ndarray, *, coverage: float = COVERAGE, bins: int = 5, least: int = 50
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
    needed = math.ceil(coverage / (1 - coverage) - 1e-9)
    if len(scores) < needed:
        raise UserError(
            f"A radius for {coverage:.0%} of the answers needs at least {needed} visible points on labelled frames, "
            f"and there are {len(scores)}. Label more frames."
        )
    edges = _edges(scores, bins=bins, least=max(least, needed))
    bin_of = np.searchsorted(edges, scores, side="right")
    groups = [errors_px[bin_of == number] for number in range(len(edges) + 1)]
    return RadiusTable(
        coverage=coverage,
        edges=tuple(edges),
        radius_px=tuple(conformal_quantile(group, coverage=coverage) for group in groups),
        counts=tuple(len(group) for group in groups),
    )


def conformal_quantile(errors: np.ndarray, *, coverage: float) -> float:
    """The ceil((n + 1) * coverage)-th smallest error; there must be that many."""
    # Less a trifle: (9 + 1) * 0.9 is not above 9, whatever its last bit.
    rank = math.ceil((len(errors) + 1) * coverage - 1e-9)
    assert 1 <= rank <= len(errors), (rank, len(errors))
    return float(np.partition(errors, rank - 1)[rank - 1])


def _edges(scores: np.ndarray, *, bins: int, least: int) -> list[float]:
    """Scores that cut the answers into bins of at least `least`; equal scores stay together."""
    ordered = np.sort(scores)
    bins = max(1, min(bins, len(ordered) // least))
    edges: list[float] = []
    start = 0
    for number in range(1, bins):
        value = ordered[len(ordered) * number // bins]
        place = int(np.searchsorted(ordered, value, side="left"))
        if place - start >= least and len(ordered) - place >= least:
            edges.append(float(value))
            start = place
    return edges


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
