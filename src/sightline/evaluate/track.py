"""Scoring a point through clips: outcomes of frames, visibility, gaps and jumps, and what guessing reaches.

The metric is F1 at `evaluate.threshold_px`; where no frame shows the point, accuracy. Checkpoints are picked by
`f1_wide`, which is F1 for one half, and still tells better from worse while no point is within the distance.

The visibility score from which on a point counts as found has the highest F1 on the validation part, is chosen at the
end of a training and goes with the run; a run without one chooses it on the data scored, and says so.
Next: track_csv.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sightline.errors import UserError
from sightline.evaluate.scoring import Evaluation, Row, Scored
from sightline.metrics.track_baselines import baselines
from sightline.metrics.track_clips import per_clip
from sightline.metrics.track_runs import AWAY, gap_statistics, switch_statistics
from sightline.metrics.track_visibility import best_visible_threshold, visibility_calibration
from sightline.metrics.tracks import TrackFrames, TrackSummary, quick_tracks, summarise_tracks
from sightline.records import FoundPoints, Record

if TYPE_CHECKING:
    from sightline.codecs.protocol import Codec
    from sightline.infer import Found, Inferred
    from sightline.loader import PlainSamples
    from sightline.model import Locator

VISIBLE = "visible"  # the key in thresholds.json


class TrackScoring:
    """A point through clips against labelled frames."""

    metric = "f1"
    less_is_better = False

    def __init__(self, experiment: Scored, thresholds: Mapping[str, float]) -> None:
        """Score by the experiment's `evaluate.threshold_px`.

        Raises:
            UserError: `evaluate.flip_average`, or thresholds that are not about visibility.
        """
        if experiment.evaluate.flip_average:
            raise UserError(
                "evaluate.flip_average is for single pictures; a clip's past has no mirror. Set it to false."
            )
        if thresholds and set(thresholds) != {VISIBLE}:
            raise UserError(
                f"thresholds.json names {', '.join(sorted(thresholds))}, expected '{VISIBLE}' alone. It belongs to "
                "another task; delete it, and evaluate with a threshold chosen anew."
            )
        self.experiment, self.thresholds = experiment, dict(thresholds)

    def choose(self, values: Mapping[str, float]) -> str:
        """`f1_wide` in training, F1 of a whole evaluation; accuracy where no frame shows the point."""
        return next(name for name in ("f1_wide", "f1", "accuracy") if name in values)

    def quick(self, found: Sequence[Found], records: Sequence[Record]) -> dict[str, float]:
        """See `metrics.tracks.quick_tracks`; the visibility threshold is chosen anew each time."""
        frames = frames_of(found, records)
        threshold_px = self.experiment.evaluate.threshold_px
        return quick_tracks(frames, threshold_px=threshold_px, least_score=self._least_score(frames))

    def evaluate(
        self, model: Locator, codec: Codec, samples: PlainSamples, inferred: Inferred, *, device: str
    ) -> Evaluation:
        """As `score`: what was found tells all."""
        return self.score(inferred.found, samples.pictures.records)

    def score(self, found: Sequence[Found], records: Sequence[Record]) -> Evaluation:
        """Metrics and everything that follows from the frames' outcomes."""
        frames = frames_of(found, records)
        least_score = self._least_score(frames)
        summary = summarise_tracks(frames, threshold_px=self.experiment.evaluate.threshold_px, least_score=least_score)
        details = track_details(frames, summary, records)
        details["thresholds_from"] = "the run" if self.thresholds else "the data scored"
        return Evaluation(
            task="track",
            crop=self.experiment.data.crop,
            metrics=summary.metrics,
            details=details,
            per_image=summary.per_image,
            predictions=prediction_rows(frames, summary, records),
            thresholds={VISIBLE: least_score},
            arrays={"pictures": summary.table.to_arrays()},
        )

    def _least_score(self, frames: TrackFrames) -> float:
        if self.thresholds:
            return self.thresholds[VISIBLE]
        return best_visible_threshold(frames, threshold_px=self.experiment.evaluate.threshold_px)


def frames_of(found: Sequence[Found], records: Sequence[Record]) -> TrackFrames:
    """What a model found in each labelled frame; it gives a place in every one."""
    points = [each for each in found if isinstance(each, FoundPoints)]
    assert len(points) == len(found) == len(records), (len(points), len(found), len(records))
    return with_truth(
        records,
        found_xy=np.array([each.points_xy[0] for each in points]).reshape(-1, 2),
        placed=np.ones(len(points), dtype=bool),
        score=np.array([each.scores[0] for each in points]),
    )


def with_truth(
    records: Sequence[Record], *, found_xy: np.ndarray, placed: np.ndarray, score: np.ndarray
) -> TrackFrames:
    """Predictions beside the labels of the same frames; arguments as of `TrackFrames`."""
    visible = np.array([bool(record.visible[0]) for record in records], dtype=bool)
    truth_xy = np.array([record.points_xy[0] for record in records], dtype=np.float64).reshape(-1, 2)
    return TrackFrames(
        image_ids=tuple(record.image_id for record in records),
        clips=tuple(record.group if record.group is not None else record.image_id for record in records),
        numbers=np.array([record.frame or 0 for record in records], dtype=np.int64),
        truth_xy=np.where(visible[:, None], truth_xy, 0.0),
        visible=visible,
        found_xy=np.asarray(found_xy, dtype=np.float64),
        placed=placed,
        score=np.asarray(score, dtype=np.float64).clip(0.0, 1.0),
    )


def track_details(frames: TrackFrames, summary: TrackSummary, records: Sequence[Record]) -> dict[str, Any]:
    """The further keys of metrics.json: outcomes, curve, calibration, gaps, switches, baselines, clips."""
    threshold_px = summary.threshold_px
    outcomes = frames.outcomes(threshold_px=threshold_px, least_score=summary.least_score)
    details = summary.to_json()
    del details["metrics"], details["images"]
    past = [record.before for record in records]
    guessed: dict[str, Any] = {}
    if all(before is not None for before in past):
        guessed = baselines(
            frames,
            past_xy=np.stack([before.points_xy for before in past if before is not None]),
            past_visible=np.stack([before.visible for before in past if before is not None]),
            threshold_px=threshold_px,
        )
    return {
        **details,
        **visibility_calibration(frames),
        "gaps": gap_statistics(frames, outcomes),
        "switches": {
            **switch_statistics(frames, outcomes, threshold_px=threshold_px),
            "away_px": AWAY * threshold_px,
        },
        "baselines": guessed,
        "per_clip": per_clip(frames, outcomes),
    }


def prediction_rows(frames: TrackFrames, summary: TrackSummary, records: Sequence[Record]) -> list[Row]:
    """One entry a frame: truth, prediction, score, error, outcome."""
    rows: list[Row] = []
    for index, (record, told) in enumerate(zip(records, summary.per_image, strict=True)):
        rows.append(
            {
                "image_id": record.image_id,
                "path": str(record.path.resolve()),
                "video_frame": record.video_frame,
                "size_hw": record.size_hw,
                "clip": told["clip"],
                "frame": told["frame"],
                "points_xy": record.points_xy.round(3).tolist(),
                "visible": record.visible.tolist(),
                "predicted_xy": frames.found_xy[index : index + 1].round(3).tolist(),
                "placed": bool(frames.placed[index]),
                "score": [told["score"]],
                "error": told["error_px"],
                "outcome": told["outcome"],
            }
        )
    return rows
