"""A CSV that is gone on with is that of a run that was not interrupted; and where it may not be, that is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scripted import NOTHING, Scripted, at, frame

from sightline.geometry import Box
from sightline.track.config import PRESETS, ZoomConfig
from sightline.track.csv_rows import RowFile, RowFormat, as_row, read_rows
from sightline.track.point import TrackPoint
from sightline.track.resume import doubt_of
from sightline.track.rules import StagePoint
from sightline.track.stage import Stages
from sightline.track.tracker import Tracker

SIZE_HW, FRAMES = (90, 160), 40
ENGINE = PRESETS["engine"].model_copy(update={"top": 0.0})
CONFIGS = {
    "fast": ENGINE.model_copy(update={"mode": "fast", "calibrate_every": 11}),
    "smart": ENGINE.model_copy(update={"mode": "smart", "unseen": 4}),
    "calib": ENGINE.model_copy(update={"mode": "calib"}),
    "stream": PRESETS["track-ball"].model_copy(
        update={"coarse_every": 5, "visible": 0.5, "resize": "image", "look_ahead": 0}
    ),
}


def tracker(config: ZoomConfig) -> Tracker:
    """Real rules on stages that see a point moving to the right, not always, and not always surely."""
    hidden = np.random.default_rng(3).random(FRAMES) < 0.3
    hidden[14:21] = True
    sure = np.random.default_rng(4).uniform(0.6, 1.0, FRAMES).round(3)

    def look(number: int, area: Box) -> StagePoint:
        x, y = 20.0 + 3 * number, 45.0
        inside = area[0] <= x < area[2] and area[1] <= y < area[3]
        return at(x, y, float(sure[number])) if inside and not hidden[number] else NOTHING

    sees = {"past_frames": 2, "history": 5}
    return Tracker(Stages(coarse=Scripted(look, **sees), fine=Scripted(look, (32, 32), **sees)), config)  # type: ignore[arg-type]


def rows_of(config: ZoomConfig) -> list[TrackPoint]:
    whole = tracker(config)
    return [whole.step(frame(number, SIZE_HW)) for number in range(FRAMES)]


@pytest.mark.parametrize("mode", CONFIGS)
@pytest.mark.parametrize("cut", [1, 7, 12, 17, 23, 33])
def test_a_continued_csv_is_that_of_an_uninterrupted_run(mode: str, cut: int, tmp_path: Path) -> None:
    config = CONFIGS[mode]
    whole = rows_of(config)
    with RowFile(tmp_path / "a.csv") as begun:
        begun.write(whole[:cut])
    done = read_rows(tmp_path / "a.csv")[1]
    again = tracker(config)
    for row in done:
        again.prime(frame(row.frame, SIZE_HW), row)
    rest = [again.step(frame(number, SIZE_HW)) for number in range(cut, FRAMES)]
    told = [[as_row(row, format="sightline") for row in rows] for rows in (rest, whole[cut:])]
    assert told[0] == told[1]
    assert doubt_of(done, config, format="sightline", fill=0) is None


@pytest.mark.parametrize("mode", ["fast", "smart", "stream"])
def test_these_runs_go_through_several_kinds_of_steps(mode: str) -> None:
    """Else the test above would say nothing of the counters."""
    steps = [row.step for row in rows_of(CONFIGS[mode])]
    assert steps.count("calibrate") >= 2 and len(set(steps)) >= 3


def test_a_filled_row_is_not_taken_for_something_seen() -> None:
    whole = tracker(CONFIGS["fast"])
    whole.prime(frame(0, SIZE_HW), TrackPoint(frame=0, x=3.0, y=4.0, visible=True, step="filled"))
    assert not whole.past.places()[-1].visible


@pytest.mark.parametrize(
    ("mode", "step", "format", "fill", "told"),
    [
        ("fast", "fast", "tracknet", 0, "does not say when"),
        ("stream", "fast", "tracknet", 0, "does not say when"),
        ("calib", "calibrate", "tracknet", 0, None),
        ("smart", "removed", "sightline", 0, "filled or taken back"),
        ("calib", "removed", "sightline", 0, None),
        ("stream", "fast", "sightline", 3, "--fill"),
    ],
)
def test_what_the_rows_hide_is_said(mode: str, step: str, format: RowFormat, fill: int, told: str | None) -> None:
    rows = [TrackPoint(frame=number, step=step) for number in range(9)]  # type: ignore[arg-type]
    said = doubt_of(rows, CONFIGS[mode], format=format, fill=fill)
    assert said is None if told is None else said is not None and told in said and "behind frame 8" in said
    assert doubt_of([], CONFIGS[mode], format=format, fill=fill) is None
    ahead = CONFIGS[mode].model_copy(update={"look_ahead": 9})
    assert "look_ahead" in (doubt_of(rows, ahead, format=format, fill=0) or "")
