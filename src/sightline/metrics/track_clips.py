"""Numbers of single clips, of folds that each leave one clip out, and of the steps that a tracker took.

Next: ../evaluate/track.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sightline.errors import UserError
from sightline.metrics.bootstrap import Interval, interval, ratio
from sightline.metrics.track_runs import gap_statistics
from sightline.metrics.tracks import Counts, TrackFrames


def per_clip(frames: TrackFrames, outcomes: np.ndarray) -> list[dict[str, Any]]:
    """One row a clip: name, frames, visible, outcomes, f1, mean_error_px, longest_gap; None where there is none."""
    table = []
    clips = np.asarray(frames.clips)
    error, measured = frames.error_px, frames.measured
    for name in sorted(set(frames.clips)):
        here = clips == name
        counts = Counts.of(outcomes[here])
        known = here & measured
        some = _rows(frames, here)
        table.append(
            {
                "clip": name,
                "frames": counts.frames,
                "visible": counts.visible,
                "outcomes": counts.to_json(),
                "f1": counts.values().get("f1"),
                "mean_error_px": float(error[known].mean()) if known.any() else None,
                "longest_gap": gap_statistics(some, outcomes[here])["longest"],
            }
        )
    return table


def leave_one_clip_out(folds: Mapping[str, Counts], *, level: float = 0.95, seed: int = 0) -> dict[str, Any]:
    """What folds reach together, where each fold was trained on all clips but one and scored on that one.

    Args:
        folds: the counts of the clip left out, by its name.
        level: the share of repetitions that the interval should cover.
        seed: equal seeds give equal intervals.

    Returns:
        `f1`: pooled over all frames, with an interval over clips; `f1_mean` and `f1_sd` (n - 1) over clips with a
        visible frame; `worst`: the clip with the lowest; `folds`: name, counts and F1 of each.

    Raises:
        UserError: fewer than two folds, or no visible frame in any.
    """
    if len(folds) < 2:
        raise UserError(f"Leaving one clip out needs at least 2 clips, found {len(folds)}. Add clips.")
    if not sum(counts.visible for counts in folds.values()):
        raise UserError("None of the folds has a frame where the point is visible. Check the visibility column.")
    sums = np.array([[2 * c.tp, 2 * c.tp + c.fp1 + c.fp2 + c.fn] for c in folds.values()], dtype=np.float64)
    pooled: Interval = interval(sums, ratio, level=level, seed=seed)
    single = {name: counts.values()["f1"] for name, counts in folds.items() if counts.visible}
    values = np.array(list(single.values()))
    return {
        "f1": pooled.to_json(),
        "f1_mean": float(values.mean()),
        "f1_sd": float(values.std(ddof=1)) if len(values) > 1 else None,
        "worst": min(single, key=lambda name: single[name]),
        "folds": [{"clip": name, **counts.to_json(), "f1": single.get(name)} for name, counts in folds.items()],
    }


def per_step(
    steps: Sequence[str], outcomes: np.ndarray, *, latency_ms: np.ndarray | None = None
) -> list[dict[str, Any]]:
    """One row a kind of step that a tracker took: how often, what came of it, and how long it took.

    Args:
        steps: [N] the kind of each frame's step ("calibrate", "fast").
        outcomes: [N].
        latency_ms: [N] milliseconds; None where they were not measured.

    Returns:
        step, frames, outcomes, f1, latency_p50_ms, latency_p95_ms, frequent kinds first.
    """
    assert len(steps) == len(outcomes), (len(steps), len(outcomes))
    kinds = np.asarray(steps)
    table = []
    for name in sorted(set(steps)):
        here = kinds == name
        counts = Counts.of(outcomes[here])
        p50, p95 = (None, None) if latency_ms is None else np.quantile(latency_ms[here], (0.5, 0.95)).tolist()
        table.append(
            {
                "step": name,
                "frames": counts.frames,
                "outcomes": counts.to_json(),
                "f1": counts.values().get("f1"),
                "latency_p50_ms": p50,
                "latency_p95_ms": p95,
            }
        )
    return sorted(table, key=lambda row: -row["frames"])


def radius_coverage(frames: TrackFrames, outcomes: np.ndarray, *, radius_px: np.ndarray) -> dict[str, float | None]:
    """How often the truth lies within the radius that the prediction gave, on found visible frames; median radius.

    Args:
        frames: N of them.
        outcomes: [N].
        radius_px: [N], the radius that each found frame claims.
    """
    counted = outcomes <= 1  # TP and FP1
    if not counted.any():
        return {"share_inside": None, "median_radius_px": None, "frames": 0}
    return {
        "share_inside": float((frames.error_px <= radius_px)[counted].mean()),
        "median_radius_px": float(np.median(radius_px[counted])),
        "frames": int(counted.sum()),
    }


def _rows(frames: TrackFrames, here: np.ndarray) -> TrackFrames:
    where = np.flatnonzero(here)
    return TrackFrames(
        image_ids=tuple(frames.image_ids[row] for row in where),
        clips=tuple(frames.clips[row] for row in where),
        numbers=frames.numbers[here],
        truth_xy=frames.truth_xy[here],
        visible=frames.visible[here],
        found_xy=frames.found_xy[here],
        placed=frames.placed[here],
        score=frames.score[here],
    )
