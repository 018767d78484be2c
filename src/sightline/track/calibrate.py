"""A tracker as a whole on labelled clips: its score, from which answer on a point counts, how far off it may be.

Its stages were judged one by one, on windows that the truth chose. What a user gets is both together, each frame
seen with the tracker's own answers behind it. So the validation clips are tracked once with every answer given; the
threshold with the best F1 and the radii follow from these. In: stages and records. Out: `Calibration`.
Next: ../cli/train_tracker.py
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sightline.errors import UserError
from sightline.evaluate.track import with_truth
from sightline.images import read_image
from sightline.metrics.track_visibility import best_visible_threshold
from sightline.metrics.tracks import TrackFrames, TrackSummary, summarise_tracks
from sightline.records import Record
from sightline.track.config import ZoomConfig
from sightline.track.point import TrackPoint
from sightline.track.radius import RadiusTable, fit_radius
from sightline.track.stage import Stages
from sightline.track.tracker import Tracker
from sightline.video.frame import VideoFrame
from sightline.video.pixels import ArrayPixels


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """What labelled clips say of a tracker.

    Attributes:
        summary: its score, at the threshold.
        visible: from which score on a point counts as visible.
        radius: within which its answers lie; None where there are too few.
    """

    summary: TrackSummary
    visible: float
    radius: RadiusTable | None


def calibrate(stages: Stages, config: ZoomConfig, records: Sequence[Record], *, threshold_px: float) -> Calibration:
    """Track the clips that these records are frames of, and fit threshold and radii.

    Only the mode `stream` has one probability for an answer; the published modes decide by agreement, so their
    threshold stays.

    Args:
        stages: of the tracker.
        config: how they are used.
        records: of clips, with pictures on the disk.
        threshold_px: how far off a found point may be, in pixels of the frame.

    Raises:
        UserError: there are no records.
    """
    decides = config.mode == "stream"
    asked = config.model_copy(update={"visible": 0.0}) if decides else config
    frames = track_frames(Tracker(stages, asked), records)
    least = best_visible_threshold(frames, threshold_px=threshold_px) if decides else 0.0
    summary = summarise_tracks(frames, threshold_px=threshold_px, least_score=least)
    visible = least if decides or config.visible is None else config.visible
    return Calibration(summary=summary, visible=visible, radius=_radius(frames, least_score=least))


def track_frames(tracker: Tracker, records: Sequence[Record]) -> TrackFrames:
    """What a tracker says of records of clips beside what is true, in the order of the records."""
    points = dict(track_records(tracker, records))
    found = [points[record.image_id] for record in records]
    return with_truth(
        records,
        found_xy=np.array([(point.x, point.y) if point.visible else (0.0, 0.0) for point in found]),
        placed=np.array([point.visible for point in found], dtype=bool),
        score=np.array([point.score for point in found]),
    )


def track_records(tracker: Tracker, records: Sequence[Record]) -> Iterator[tuple[str, TrackPoint]]:
    """Follow the point through runs of records whose frames follow each other; each run begins anew.

    Yields:
        (image_id, point) of every record.
    """
    last: tuple[str | None, int] | None = None
    for record in sorted(records, key=lambda r: (r.group or "", r.frame or 0)):
        assert record.frame is not None and record.before is not None, record.image_id
        if last != (record.group, record.frame - 1):
            tracker.reset()
            count = len(record.before.frames)
            for place, at in enumerate(record.before.frames):
                if at is not None:
                    tracker.prime(_frame(at.path, number=record.frame - count + place), None)
        yield record.image_id, tracker.step(_frame(record.path, number=record.frame))
        last = (record.group, record.frame)


def _frame(path: Path, *, number: int) -> VideoFrame:
    # Rates differ between clips and matter to no rule.
    return VideoFrame(number=number, time_s=float(number), pixels=ArrayPixels(read_image(path, channels=3)))


def _radius(frames: TrackFrames, *, least_score: float) -> RadiusTable | None:
    """Radii of the answers that a user would be given for a point that is there."""
    given = frames.measured & (frames.score >= least_score)
    try:
        return fit_radius(frames.error_px[given], frames.score[given])
    except UserError:  # too few answers: they come without a radius, as the table's absence says
        return None
