"""What the rows of a CSV do not tell of the run that wrote them, for who goes on with it. Next: stream.py.

Steps and scores in the rows say when the coarse stage looked last and how sure the tracker was, so that a continued
CSV is that of an uninterrupted run. Where they are hidden it can differ for some frames, and that is said.
"""

from __future__ import annotations

from collections.abc import Sequence

from sightline.track.config import ZoomConfig
from sightline.track.csv_rows import RowFormat
from sightline.track.point import TrackPoint

HIDING = ("filled", "removed", "linked")  # steps that stand in the place of others


def doubt_of(rows: Sequence[TrackPoint], config: ZoomConfig, *, format: RowFormat, fill: int) -> str | None:
    """Why rows behind these may differ from those of an uninterrupted run; None where they do not.

    Args:
        rows: what is there.
        config: of the tracker that goes on.
        format: of the rows.
        fill: gaps of up to so many frames are filled.
    """
    if not rows:
        return None
    reach = {
        "calib": 0,
        "fast": config.calibrate_every,
        "smart": config.unseen,
        "stream": 0 if config.fine is None else max(1, config.coarse_every),
    }[config.mode]
    reasons = []
    if format == "tracknet" and reach:
        reasons.append("its format does not say when the coarse stage looked last, nor how sure it was")
    elif any(row.step in HIDING for row in rows[len(rows) - min(reach, len(rows)) :]):
        reasons.append("among its last rows some were filled or taken back, which hides how they came about")
    if fill or config.look_ahead:
        reasons.append("what later frames decide (--fill, look_ahead) was settled where it was stopped")
    if not reasons:
        return None
    return (
        f"going on behind frame {rows[-1].frame}; the next rows may differ from those of an uninterrupted run: "
        + "; ".join(reasons)
    )
