"""Checks of points one by one: in the corner, in one place, carried over from another picture. Next: boxes.py."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from sightline.doctor.case import Case, listed, suspect
from sightline.geometry import enlarge
from sightline.records import Problem, Record

ENOUGH = 20
_CORNER = 0.5  # pixels: (0, 0) of either convention
_SAME = 3  # decimals
_APART = 0.05  # of the shape's extent: points that are usually nearer may coincide
_MOST_OUTSIDE = 0.5
_USUAL_OUTSIDE = 0.1
_BOX_SLACK = 1.2


def check(case: Case) -> Iterable[Problem]:
    """Problems of points that need no mean shape."""
    records = [record for record in case.records if record.visible.any()]
    if not records:
        return
    xy = np.stack([record.points_xy for record in records])
    visible = np.stack([record.visible for record in records])
    yield from _corners(case, records, xy)
    rounded = xy.round(_SAME)
    yield from _coinciding(case, records, rounded, visible)
    yield from _copied(case, records, rounded, visible)
    yield from _outside_boxes(records)
    yield from _few(records, visible)


def at_corner(record: Record) -> np.ndarray:
    """[K] bool: visible points in the corner of the picture."""
    return record.visible & (np.abs(record.points_xy) <= _CORNER).all(axis=1)


def _corners(case: Case, records: list[Record], xy: np.ndarray) -> Iterable[Problem]:
    names = case.dataset.skeleton.names
    is_there = np.all(np.abs(xy) <= _CORNER, axis=2)  # [N, K]
    for i in np.flatnonzero(is_there.any(axis=1)).tolist():
        record = records[i]
        if (found := at_corner(record)).any():
            which = listed([names[k] for k in np.flatnonzero(found)])
            yield suspect("point-at-corner", record, f"{which} in the corner: a missing point that was written as 0?")


def _coinciding(case: Case, records: list[Record], xy: np.ndarray, visible: np.ndarray) -> Iterable[Problem]:
    """Pairs in one place that are usually apart; lips and lids that close are not."""
    names = case.dataset.skeleton.names
    if len(names) < 2:
        return
    shown = visible & ~(np.abs(xy) <= _CORNER).all(axis=2)
    # Those that are not shown are all different, far outside; sorted, equal ones stand side by side.
    place = np.where(shown, xy[..., 0] + 1j * xy[..., 1], -1e9 * (1 + np.arange(len(names))))
    side_by_side = np.sort(place, axis=1)
    usual: dict[tuple[int, int], float] = {}
    for i in np.flatnonzero((side_by_side[:, 1:] == side_by_side[:, :-1]).any(axis=1)).tolist():
        same = np.triu(place[i][:, None] == place[i][None, :], k=1)
        pairs = [(a, b) for a, b in np.argwhere(same).tolist()]
        for pair in pairs:
            if pair not in usual:
                usual[pair] = _usual_distance(records, pair)
        if odd := [pair for pair in pairs if usual[pair] > _APART]:
            told = listed([f"{names[a]} and {names[b]}" for a, b in odd])
            yield suspect("points-coincide", records[i], f"{told} are in one place")


def _usual_distance(records: list[Record], pair: tuple[int, int]) -> float:
    """What nine records in ten exceed, as a share of the shape's extent; 1 where nothing is known."""
    shares = []
    for record in records[:: max(1, len(records) // 1000)]:
        if record.visible[list(pair)].all():
            extent = float(np.ptp(record.points_xy[record.visible], axis=0).max())
            shares.append(float(np.hypot(*(record.points_xy[pair[0]] - record.points_xy[pair[1]]))) / max(extent, 1e-9))
    return float(np.quantile(shares, 0.1)) if len(shares) >= ENOUGH else 1.0


def _copied(case: Case, records: list[Record], xy: np.ndarray, visible: np.ndarray) -> Iterable[Problem]:
    digests = {path: look.digest for path, look in case.looks.items()}
    same: dict[bytes, list[Record]] = defaultdict(list)
    for i in np.flatnonzero(visible.sum(axis=1) >= 3).tolist():
        same[xy[i].tobytes() + visible[i].tobytes()].append(records[i])
    for group in same.values():
        files = {digests.get(record.path, str(record.path).encode()) for record in group}
        if len(files) > 1:
            names = [record.image_id for record in group]
            yield suspect("points-copied", group[1], f"the very points of {names[0]}; the same in {listed(names)}")


def _outside_boxes(records: list[Record]) -> Iterable[Problem]:
    boxed = [record for record in records if record.box_xyxy is not None]
    shares = np.array([_share_outside(record) for record in boxed])
    if len(boxed) == 0 or np.median(shares) > _USUAL_OUTSIDE:
        return  # boxes of something else, such as heads of bodies
    for i in np.flatnonzero(shares > _MOST_OUTSIDE):
        yield suspect("points-outside-box", boxed[i], f"{100 * shares[i]:.0f} % of its points lie outside of its box")


def _share_outside(record: Record) -> float:
    assert record.box_xyxy is not None
    x0, y0, x1, y1 = enlarge(record.box_xyxy, _BOX_SLACK)
    x, y = record.points_xy[record.visible].T
    return float(((x < x0) | (x > x1) | (y < y0) | (y > y1)).mean())


def _few(records: list[Record], visible: np.ndarray) -> Iterable[Problem]:
    if len(records) < ENOUGH:
        return
    counts = visible.sum(axis=1)
    usual = float(np.quantile(counts, 0.1))
    for i in np.flatnonzero(counts < usual / 2):
        yield suspect("points-few", records[i], f"{counts[i]} points; nine records in ten have {usual:.0f} or more")
