"""Scoring the CSV that `sightline track` writes, against the labels of the same clip.

In: CSV with the columns frame, x, y, visible, and perhaps score, radius_px, step, latency_ms, or TrackNet's Frame,
Visibility, X, Y, whose places are turned into continuous ones; a data set of clips. Out: the same numbers as of a
model. A row that says "not visible" gives no place, whatever else it holds; a labelled frame without a row counts as
one, and is told. Next: ../cli/score_track.py
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sightline.errors import UserError, unknown_name
from sightline.evaluate.track import prediction_rows, track_details, with_truth
from sightline.geometry import index_to_continuous
from sightline.metrics.track_clips import per_step, radius_coverage
from sightline.metrics.tracks import TrackSummary, summarise_tracks
from sightline.readers.texts import number, read_table
from sightline.records import Dataset, Record

_NEEDED = ("frame", "x", "y", "visible")
_KNOWN = (*_NEEDED, "time_s", "score", "radius_px", "step", "latency_ms")
_TRACKNET = "visibility"  # the column of TrackNet's files, where ours is called visible
_NOT_AT_ALL = "no row"  # the step of a labelled frame that the file does not have


@dataclass(frozen=True, kw_only=True)
class TrackRow:
    """One frame of the CSV; None for what it does not tell.

    Attributes:
        frame: number in its clip, from 0.
        x, y: pixels of the frame; 0 where not visible.
        is_visible: whether the tracker gives a point.
        score: how sure it is of that, 0..1; 1 or 0 where the file has no such column.
        radius_px: within which the point is claimed to be.
        step: the kind of step.
        latency_ms: how long it took.
    """

    frame: int
    x: float
    y: float
    is_visible: bool
    score: float
    radius_px: float | None
    step: str
    latency_ms: float | None


@dataclass(frozen=True, kw_only=True)
class ScoredTrack:
    """A scored CSV.

    Attributes:
        clip: the clip of the data set that it was scored against.
        summary: the numbers.
        details: as of an evaluation, and `steps`, `radius` where the file has such columns.
        predictions: rows as in predictions.json.
        without_row: labelled frames that the file has no row for.
        unlabelled: rows of the file whose frames have no label; they do not count.
    """

    clip: str
    summary: TrackSummary
    details: dict[str, Any]
    predictions: list[dict[str, Any]]
    without_row: int
    unlabelled: int

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        metrics = {name: found.to_json() for name, found in self.summary.metrics.items()}
        told = {"clip": self.clip, "frames_without_row": self.without_row, "rows_without_label": self.unlabelled}
        return {"task": "track", "metrics": metrics, "images": len(self.predictions), **told, **self.details}


def score_csv(path: Path, dataset: Dataset, *, threshold_px: float, clip: str | None = None) -> ScoredTrack:
    """Score a CSV against a clip.

    Args:
        path: the CSV.
        dataset: of clips.
        threshold_px: how far off a point may be.
        clip: its name in the data set; needed where neither there is only one nor one is called as the file is.

    Raises:
        UserError: the data set holds no clips or none that fits, or the CSV cannot be understood.
    """
    if not 0 < threshold_px < math.inf:
        raise UserError(f"--threshold-px {threshold_px:g}: expected a distance above 0, in pixels of the frames.")
    name = _clip_of(path, dataset, asked=clip)
    records = [record for record in dataset.records if record.group == name]
    by_frame = {row.frame: row for row in read_track(path)}
    rows = [by_frame.get(_number(record)) for record in records]
    placed = np.array([row is not None and row.is_visible for row in rows], dtype=bool)
    frames = with_truth(
        records,
        found_xy=np.array([(row.x, row.y) if row is not None and row.is_visible else (0.0, 0.0) for row in rows]),
        placed=placed,
        score=np.array([0.0 if row is None else row.score for row in rows]),
    )
    summary = summarise_tracks(frames, threshold_px=threshold_px, least_score=0.0)
    outcomes = frames.outcomes(threshold_px=threshold_px, least_score=0.0)
    details = track_details(frames, summary, records)
    del details["visible_threshold"]  # the file has decided already
    if any(row is not None and row.step for row in rows):
        details["steps"] = per_step(
            [_NOT_AT_ALL if row is None else row.step or "none" for row in rows],
            outcomes,
            latency_ms=_all(rows, "latency_ms"),
        )
    radius = _all([row for row, found in zip(rows, placed, strict=True) if found], "radius_px")
    if radius is not None:
        spread = np.zeros(len(rows))
        spread[placed] = radius
        details["radius"] = radius_coverage(frames, outcomes, radius_px=spread)
    return ScoredTrack(
        clip=name,
        summary=summary,
        details=details,
        predictions=prediction_rows(frames, summary, records),
        without_row=sum(row is None for row in rows),
        unlabelled=len(by_frame.keys() - {_number(record) for record in records}),
    )


def read_track(path: Path) -> list[TrackRow]:
    """The rows of a track CSV.

    Raises:
        UserError: it cannot be read, lacks columns, has a frame twice, or a cell that is no number; names the line.
    """
    table = read_table(path)
    if not table:
        raise UserError(
            f"{path} is empty. Give a CSV that `sightline track` wrote, with the header {', '.join(_KNOWN)}."
        )
    header = [cell.strip().lower() for cell in table[0].cells]
    is_tracknet = _TRACKNET in header and "visible" not in header
    if is_tracknet:
        header[header.index(_TRACKNET)] = "visible"
    lacking = [name for name in _NEEDED if name not in header]
    if lacking:
        raise UserError(
            f"{path} has the columns {', '.join(header)}; {', '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} "
            f"missing. Give a CSV that `sightline track` wrote: {', '.join(_KNOWN)}; or one of TrackNet: Frame, "
            "Visibility, X, Y."
        )
    found: dict[int, TrackRow] = {}
    for row in table[1:]:
        where = f"{path}:{row.line}"
        if len(row.cells) != len(header):
            raise UserError(
                f"{where} has {len(row.cells)} cells, the header names {len(header)}. The file may be cut short: "
                "remove the line or write the file again."
            )
        one = _row(dict(zip(header, row.cells, strict=True)), where=where)
        if is_tracknet and one.is_visible:
            x, y = index_to_continuous(np.array([one.x, one.y])).tolist()
            one = replace(one, x=x, y=y)
        if one.frame in found:
            raise UserError(f"{where}: frame {one.frame} is there twice. Expected one row a frame; remove one of them.")
        found[one.frame] = one
    if not found:
        raise UserError(f"{path} has a header and no rows. Give a CSV with one row a frame.")
    return list(found.values())


def _row(cells: dict[str, str], *, where: str) -> TrackRow:
    def value(name: str) -> float:
        try:
            given = number(cells[name])
        except ValueError:
            given = math.nan
        if not math.isfinite(given):
            raise UserError(f"{where}: {name} is '{cells[name]}', expected a number. Correct or remove the line.")
        return given

    def optional(name: str) -> float | None:
        return value(name) if cells.get(name) else None

    frame, shown = value("frame"), value("visible")
    if frame != int(frame) or frame < 0:
        raise UserError(f"{where}: frame is '{cells['frame']}', expected a whole number from 0.")
    if shown not in (0, 1):
        raise UserError(f"{where}: visible is '{cells['visible']}', expected 0 or 1. Probabilities belong to 'score'.")
    score = optional("score")
    if score is not None and not 0 <= score <= 1:
        raise UserError(f"{where}: score is '{cells['score']}', expected 0 to 1.")
    is_visible = shown == 1
    return TrackRow(
        frame=int(frame),
        x=value("x") if is_visible else 0.0,
        y=value("y") if is_visible else 0.0,
        is_visible=is_visible,
        score=shown if score is None else score,
        radius_px=optional("radius_px"),
        step=cells.get("step", ""),
        latency_ms=optional("latency_ms"),
    )


def _clip_of(path: Path, dataset: Dataset, *, asked: str | None) -> str:
    """The clip that a file is about: the one asked for, the only one, or the one called as the file is."""
    if not dataset.records:
        why = f": {dataset.errors[0]}" if dataset.errors else ""
        raise UserError(f"{dataset.root} has no labelled frame that can be used{why}. Give labels beside their frames.")
    if not dataset.has_clips:
        raise UserError(
            f"{dataset.root} is a data set of single pictures ({dataset.format}); a track is scored against labelled "
            "clips. Give labels of frames, such as a TrackNet CSV."
        )
    names = sorted({record.group for record in dataset.records if record.group is not None})
    if asked is not None:
        if asked not in names:
            raise unknown_name("clip", asked, names)
        return asked
    fitting = names if len(names) == 1 else [name for name in names if path.stem in (name, Path(name).name)]
    if len(fitting) == 1:
        return fitting[0]
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    raise UserError(
        f"{dataset.root} has {len(names)} clips ({shown}), and '{path.stem}' is the name of "
        f"{'none' if not fitting else len(fitting)} of them. Say which one {path.name} is about: --clip NAME."
    )


def _number(record: Record) -> int:
    assert record.frame is not None, record.image_id
    return record.frame


def _all(rows: Sequence[TrackRow | None], name: str) -> np.ndarray | None:
    """A column where every row has a value, else None."""
    values = [None if row is None else getattr(row, name) for row in rows]
    return np.array(values, dtype=np.float64) if values and None not in values else None
