"""The linked path is the cheapest of all, by trying them all; and what that means for single frames."""

from __future__ import annotations

import gc
import itertools
import math

import numpy as np
import pytest
from scripted import at

from sightline.track.config import PRESETS, ZoomConfig
from sightline.track.link import PathLinker, log_odds
from sightline.track.point import TrackPoint
from sightline.track.rules import StagePoint

SIZE_HW = (90, 160)  # the root of the area is 120 pixels
CONFIG = PRESETS["track-ball"].model_copy(update={"look_ahead": 4, "link_step": 0.1, "link_turn": 0.02})


def linker(config: ZoomConfig = CONFIG, *, least: float = 0.5) -> PathLinker:
    return PathLinker(config, size_hw=SIZE_HW, least_visible=least, radius=lambda score: 10 * score)


def row_of(number: int, answers: list[StagePoint], *, least: float = 0.5) -> TrackPoint:
    """What a tracker says of a frame: its surest answer, if that is sure enough."""
    best = max(answers, key=lambda answer: answer.visible, default=at(0, 0, 0.0))
    if best.visible < least:
        return TrackPoint(frame=number, score=best.visible, step="calibrate")
    return TrackPoint(frame=number, x=best.x, y=best.y, visible=True, score=best.visible, step="calibrate")


def linked(
    frames: list[list[StagePoint]], config: ZoomConfig = CONFIG, *, numbers: list[int] | None = None
) -> list[TrackPoint]:
    path, rows = linker(config), []
    for number, answers in zip(numbers or range(len(frames)), frames, strict=True):
        rows += path.feed(row_of(number, answers), answers)
    return rows + path.finish()


def places(rows: list[TrackPoint]) -> list[tuple[float, float] | None]:
    return [(row.x, row.y) if row.visible else None for row in rows]


def cost_of(path: tuple[StagePoint | None, ...]) -> float:
    """By the words of the settings, in shares of the frame."""
    total = 0.0
    for number, answer in enumerate(path):
        before = path[number - 1] if number else None
        last = path[number - 2] if number > 1 else None
        if answer is not None:
            total += log_odds(0.5) + CONFIG.link_doubt - log_odds(answer.visible)
        if (answer is None) != (before is None):
            total += CONFIG.link_switch
        if answer is None or before is None:
            continue
        step = np.array([answer.x - before.x, answer.y - before.y]) / 120
        over = max(0.0, float(np.linalg.norm(step)) - 0.1) / (0.1 / 3)
        total += min(CONFIG.link_most, over**2)
        if last is not None:
            turn = step - np.array([before.x - last.x, before.y - last.y]) / 120
            total += min(CONFIG.link_most, (float(np.linalg.norm(turn)) / 0.02) ** 2)
    return total


@pytest.mark.parametrize("seed", range(8))
def test_the_path_is_the_cheapest_of_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frames = [
        [at(rng.uniform(60, 90), rng.uniform(40, 60), rng.uniform(0.05, 0.99)) for _ in range(rng.integers(0, 3))]
        for _ in range(6)
    ]
    config = CONFIG.model_copy(update={"look_ahead": 99})
    found = places(linked(frames, config))
    best = min(itertools.product(*[(None, *answers) for answers in frames]), key=cost_of)
    assert found == [None if answer is None else (answer.x, answer.y) for answer in best]


def test_what_goes_with_the_frames_around_is_preferred_to_what_is_surer() -> None:
    flight = [[at(20 + 6 * n, 40, 0.9)] for n in range(8)]
    flight[4].append(at(140, 80, 0.97))  # a shoe
    flight[6] = [at(20 + 36, 40, 0.35)]  # hard to see, and below the threshold
    rows = linked(flight)
    assert places(rows) == [(20 + 6 * n, 40) for n in range(8)]
    assert [row.step for row in rows] == ["calibrate"] * 4 + ["linked", "calibrate", "linked", "calibrate"]
    assert (rows[4].score, rows[4].radius_px) == (0.9, 9.0)


def test_an_answer_that_stands_alone_is_taken_back_unless_it_is_very_sure() -> None:
    alone: list[list[StagePoint]] = [[], [], [at(50, 50, 0.8)], [], [], [at(50, 50, 0.99)], []]
    rows = linked(alone)
    assert [row.visible for row in rows] == [False] * 5 + [True, False]
    assert [row.step for row in rows][2] == "removed"


def test_a_hit_is_followed() -> None:
    there = [[at(20 + 8 * n, 40, 0.97)] for n in range(6)]
    back = [[at(60 - 8 * n, 40 + 3 * n, 0.97)] for n in range(1, 6)]
    rows = linked(there + back)
    assert all(row.visible and row.step == "calibrate" for row in rows)


def test_frames_that_are_missing_forget_the_motion() -> None:
    answers = [[at(20, 40, 0.9)], [at(26, 40, 0.9)], [at(120, 70, 0.9)], [at(126, 70, 0.9)]]
    rows = linked(answers, numbers=[0, 1, 30, 31])
    assert [row.frame for row in rows] == [0, 1, 30, 31]
    assert all(row.visible for row in rows)


def test_rows_come_so_many_frames_later_and_memory_stays_bounded() -> None:
    path, given = linker(), []
    for number in range(300):
        answers = [at(50, 50, 0.9), at(90, 20, 0.7)]
        given += path.feed(row_of(number, answers), answers)
        assert len(given) == max(0, number + 1 - CONFIG.look_ahead)
    assert [row.frame for row in given] == list(range(296))
    gc.collect()
    assert sum(type(thing).__name__ == "_Node" for thing in gc.get_objects()) < 100
    assert [row.frame for row in path.finish()] == [296, 297, 298, 299]
    assert path.finish() == []


def test_log_odds_stay_finite() -> None:
    assert log_odds(0.5) == 0
    assert log_odds(0.9) == pytest.approx(math.log(9))
    assert log_odds(0.0) == pytest.approx(-log_odds(1.0)) == pytest.approx(-9.21, abs=0.01)
