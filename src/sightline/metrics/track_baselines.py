"""What can be reached without looking: guesses from the labelled past of each frame.

    repeat the last point     the most recent visible point
    continue the last motion  twice the last point less the one before it where both are visible, else the last point

Both say "visible" where the point was visible in the frame just before, and give no place where the past holds none.
They are given the true past, which no tracker has: a model that does not beat them has learnt little from pixels.

In: `TrackFrames` of a model and the past points of its frames. Out: the same with other predictions.
Next: track_clips.py
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from sightline.metrics.tracks import TrackFrames, quick_tracks

REPEAT, CONTINUE = "repeat the last point", "continue the last motion"
_SAID = 0.5


def repeat_the_last_point(frames: TrackFrames, *, past_xy: np.ndarray, past_visible: np.ndarray) -> TrackFrames:
    """The first baseline.

    Args:
        frames: N of them.
        past_xy: [N, L, 2] points before each frame, oldest first, in pixels; zeros where not visible.
        past_visible: [N, L] bool.
    """
    length = past_visible.shape[1]
    assert past_xy.shape == (len(frames), length, 2), (past_xy.shape, past_visible.shape)
    placed: np.ndarray = np.any(past_visible, axis=1)
    last = length - 1 - np.argmax(past_visible[:, ::-1], axis=1)
    xy = np.where(placed.reshape(-1, 1), past_xy[np.arange(len(frames)), last], 0.0)
    return replace(frames, found_xy=xy, placed=placed, score=past_visible[:, -1].astype(np.float64))


def continue_the_last_motion(frames: TrackFrames, *, past_xy: np.ndarray, past_visible: np.ndarray) -> TrackFrames:
    """The second baseline; arguments as of `repeat_the_last_point`, L at least 2."""
    assert past_visible.shape[1] >= 2, past_visible.shape
    repeated = repeat_the_last_point(frames, past_xy=past_xy, past_visible=past_visible)
    moving = past_visible[:, -1] & past_visible[:, -2]
    ahead = 2 * past_xy[:, -1] - past_xy[:, -2]
    return replace(repeated, found_xy=np.where(np.expand_dims(moving, 1), ahead, repeated.found_xy))


def baselines(
    frames: TrackFrames, *, past_xy: np.ndarray, past_visible: np.ndarray, threshold_px: float
) -> dict[str, dict[str, Any]]:
    """What both reach on a model's frames.

    Returns:
        For each: its metrics as of `quick_tracks`, `placed` (visible frames that it gives a place to), and
        `model_error_px`, the model's own mean error on those that both give a place to, None without any: errors
        of different frames cannot be compared.
    """
    found = {}
    for name, guess in ((REPEAT, repeat_the_last_point), (CONTINUE, continue_the_last_motion)):
        guessed = guess(frames, past_xy=past_xy, past_visible=past_visible)
        both = guessed.measured & frames.measured
        found[name] = {
            **quick_tracks(guessed, threshold_px=threshold_px, least_score=_SAID),
            "placed": int(guessed.measured.sum()),
            "model_error_px": float(frames.error_px[both].mean()) if both.any() else None,
        }
    return found
