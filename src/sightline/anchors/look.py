"""Everything `sightline anchors` says: the boxes, what a model's anchors do for them, would automatic ones do better?

Next: codecs/
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

import numpy as np

from sightline.anchors.auto import kmeans_anchors, peak_anchors
from sightline.anchors.coverage import ENOUGH_IOU, Coverage, LevelCoverage, best_ious, measure_coverage
from sightline.anchors.generate import AnchorRule, LevelsHw, ShapedAnchors
from sightline.anchors.picture import anchor_picture
from sightline.errors import UserError

HELPS_RECALL, HELPS_IOU = 0.01, 0.02  # so much more, and automatic anchors are worth it
_WIDTH = 116  # characters of a line
_MOST_NAMED = 9  # idle anchors by name
_FOR_ANCHOR_FREE = 3  # automatic anchors a cell where the model has only one

Finder = Callable[[np.ndarray], ShapedAnchors]


@dataclass(frozen=True, kw_only=True)
class AutomaticAnchors:
    """Anchors that were found in the data, and what they would do.

    Attributes:
        way: "k-means" or "peaks".
        per_cell: anchors at each cell.
        rule: found in all boxes; None where there were none to find.
        recall: best possible recall at IoU 0.5, of boxes that they were not found in.
        mean_iou: mean best IoU of these.
        why_not: why there are none; empty where there are.
    """

    way: str
    per_cell: int
    rule: ShapedAnchors | None
    recall: float | None
    mean_iou: float | None
    why_not: str


@dataclass(frozen=True, kw_only=True, eq=False)
class AnchorsReport:
    """What `look` found. `size_px` and `ratio` are 5 %, half and 95 % of sqrt(area) and height / width."""

    pictures: int
    objects: int
    without_area: int
    size_px: tuple[float, float, float]
    ratio: tuple[float, float, float]
    input_hw: tuple[int, int]
    levels_hw: tuple[tuple[int, int], ...]
    rule: AnchorRule
    coverage: Coverage
    automatic: tuple[AutomaticAnchors, ...]
    boxes_wh: np.ndarray

    @property
    def better(self) -> AutomaticAnchors | None:
        """The automatic anchors that are worth taking: 0.01 more recall or 0.02 more IoU, and no less of either."""
        now = self.coverage
        worth = [
            found
            for found in self.automatic
            if found.recall is not None
            and found.mean_iou is not None
            and found.recall >= now.recall - 1e-3
            and found.mean_iou >= now.mean_iou - 1e-3
            and (found.recall >= now.recall + HELPS_RECALL or found.mean_iou >= now.mean_iou + HELPS_IOU)
        ]
        return max(worth, key=lambda found: (found.recall, found.mean_iou), default=None)

    def to_json(self) -> dict[str, Any]:
        """Plain values with stable keys."""
        better = self.better
        return {
            "pictures": self.pictures,
            "objects": self.objects,
            "without_area": self.without_area,
            "size_px": list(self.size_px),
            "ratio": list(self.ratio),
            "input_hw": list(self.input_hw),
            "levels_hw": [list(size) for size in self.levels_hw],
            "rule": self.rule.model_dump(mode="json"),
            "coverage": self.coverage.to_json(),
            "automatic": [
                {**vars(found), "rule": found.rule.model_dump(mode="json") if found.rule else None}
                for found in self.automatic
            ],
            "better": better.way if better else None,
        }

    def picture(self, *, title: str) -> str:
        """An SVG of the boxes' sizes with the model's anchors on top."""
        shapes = self.rule.shapes(levels_hw=self.levels_hw, input_hw=self.input_hw)
        return anchor_picture(self.boxes_wh, shapes=shapes, title=title)

    def lines(self) -> list[str]:
        """For the terminal."""
        return [*self._data_lines(), *self._coverage_lines(), *self._automatic_lines()]

    def _data_lines(self) -> list[str]:
        left_out = f"; {self.without_area} without an area are left out" if self.without_area else ""
        height, width = self.input_hw
        low, middle, high = self.size_px
        return [
            f"{self.objects} objects in {self.pictures} pictures at {height} x {width} px{left_out}.",
            f"Size (square root of area): median {middle:.0f} px, 90 % within {low:.0f} .. {high:.0f} px. "
            f"Height / width: median {self.ratio[1]:.2f}, 90 % within {self.ratio[0]:.2f} .. {self.ratio[2]:.2f}.",
            "",
        ]

    def _coverage_lines(self) -> list[str]:
        now, per_cell = self.coverage, self.rule.per_cell(len(self.levels_hw))
        ways = list(now.assignments.values())
        found = [
            f"{now.places:,} anchors ({self.rule.kind}): best possible recall at IoU {ENOUGH_IOU:g} "
            f"{100 * now.recall:.1f} %, mean best IoU {now.mean_iou:.3f}.",
            f"{'':24}" + "".join(f"  {name:^29}" for name in now.assignments),
            f"{'level':14}{'objects':>10}" + f"  {'places':>7}{'share':>7}{'orphans':>8}{'forced':>7}" * len(ways),
        ]
        for index, ((height, width), count) in enumerate(zip(self.levels_hw, per_cell, strict=True)):
            levels = [way.levels[index] for way in ways]
            found.append(f"{f'{height} x {width} x {count}':14}{levels[0].objects:10}" + "".join(map(_cells, levels)))
        totals = [
            LevelCoverage(
                objects=way.objects, orphans=way.orphans, forced=way.forced, per_object=way.per_object, share=1.0
            )
            for way in ways
        ]
        found.append(f"{'all':14}{totals[0].objects:10}" + "".join(map(_cells, totals)))
        if now.assigned_pictures < now.pictures:
            found.append(f"The table is about {now.assigned_pictures} of {now.pictures} pictures, evenly drawn.")
        found += [
            "objects: whose size is nearest to the level's anchors; places: that learn one of them; share: of all such",
            "places, on this level; orphans: nothing learns them; forced: have a place only because all must get one.",
        ]
        shapes = self.rule.shapes(levels_hw=self.levels_hw, input_hw=self.input_hw)
        names = [
            f"{shapes[level][shape][0]:.0f} x {shapes[level][shape][1]:.0f} (level {level + 1})"
            for level, shape in now.idle
        ]
        if names:
            more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
            text = f"No object here matches these anchors, width x height: {', '.join(names[:_MOST_NAMED])}{more}."
            found += wrap(text, width=_WIDTH)
        return [*found, ""]

    def _automatic_lines(self) -> list[str]:
        now, better = self.coverage, self.better
        found = ["Automatic anchors, found in one half of the pictures and measured on the other:"]
        found.append(f"  {'as they are':24}recall {100 * now.recall:5.1f} %   mean best IoU {now.mean_iou:.3f}")
        for one in self.automatic:
            name = f"{one.way}, {one.per_cell} a cell"
            if one.recall is None or one.mean_iou is None:
                found += wrap(f"{name:24}{one.why_not}", width=_WIDTH, initial_indent="  ", subsequent_indent=" " * 26)
            else:
                found.append(f"  {name:24}recall {100 * one.recall:5.1f} %   mean best IoU {one.mean_iou:.3f}")
        if self.rule.kind == "square":
            found.append("This model has no anchors: its squares only decide who learns what. Nothing to change.")
        elif better is None:
            found.append("They would not help.")
        else:
            found.append(f"They would help: take those by {better.way}.")
        return found


def look(
    boxes: Sequence[np.ndarray], *, rule: AnchorRule, levels_hw: LevelsHw, input_hw: tuple[int, int], seed: int = 0
) -> AnchorsReport:
    """Look at a data set's boxes through a model's anchors.

    Args:
        boxes: for each picture [n, 4] xyxy in input pixels; pictures without objects may be among them.
        rule: the model's anchors; for an anchor-free one its squares.
        levels_hw: (h, w) of each level.
        input_hw: the network's input.
        seed: for k-means.

    Raises:
        UserError: no box has an area, or the rule is for another number of levels.
    """
    with_area = [np.asarray(one, dtype=np.float64).reshape(-1, 4) for one in boxes]
    total = sum(map(len, with_area))
    with_area = [one[(one[:, 2:] > one[:, :2]).all(axis=1)] for one in with_area]
    filled = [one for one in with_area if len(one)]
    if not filled:
        raise UserError(
            f"There are no boxes to look at: {len(boxes)} pictures with {total} boxes, none with an area. "
            "Anchors need a data set with boxes."
        )
    sides = _sides(filled)
    size = np.quantile(np.sqrt(sides.prod(axis=1)), [0.05, 0.5, 0.95]).tolist()
    ratio = np.quantile(sides[:, 1] / sides[:, 0], [0.05, 0.5, 0.95]).tolist()
    return AnchorsReport(
        pictures=len(boxes),
        objects=len(sides),
        without_area=total - len(sides),
        size_px=(size[0], size[1], size[2]),
        ratio=(ratio[0], ratio[1], ratio[2]),
        input_hw=input_hw,
        levels_hw=tuple(levels_hw),
        rule=rule,
        coverage=measure_coverage(filled, rule=rule, levels_hw=levels_hw, input_hw=input_hw),
        automatic=_automatic(filled, rule=rule, levels_hw=levels_hw, input_hw=input_hw, seed=seed),
        boxes_wh=sides,
    )


def _automatic(
    filled: list[np.ndarray], *, rule: AnchorRule, levels_hw: LevelsHw, input_hw: tuple[int, int], seed: int
) -> tuple[AutomaticAnchors, ...]:
    """Both ways, with about as many anchors as the model has now."""
    usual = statistics.mode(rule.per_cell(len(levels_hw)))
    per_level = usual if usual > 1 else _FOR_ANCHOR_FREE

    def by_kmeans(sides: np.ndarray) -> ShapedAnchors:
        return kmeans_anchors(sides, per_level=per_level, levels_hw=levels_hw, input_hw=input_hw, seed=seed)

    def by_peaks(sides: np.ndarray) -> ShapedAnchors:
        return peak_anchors(sides, levels_hw=levels_hw, ratios_per_size=max(1, per_level - 2), seed=seed)

    ways: tuple[tuple[str, Finder, int], ...] = (
        ("k-means", by_kmeans, per_level),
        ("peaks", by_peaks, max(3, per_level)),
    )
    return tuple(
        _judged(way, finder, filled, per_cell=per_cell, levels_hw=levels_hw, input_hw=input_hw)
        for way, finder, per_cell in ways
    )


def _judged(
    way: str, finder: Finder, filled: list[np.ndarray], *, per_cell: int, levels_hw: LevelsHw, input_hw: tuple[int, int]
) -> AutomaticAnchors:
    """Found in each half of the pictures and measured on the other; the rule itself is from all."""
    if len(filled) < 2:
        why = "there is one picture with boxes: no other to measure on"
        return AutomaticAnchors(way=way, per_cell=per_cell, rule=None, recall=None, mean_iou=None, why_not=why)
    halves = filled[::2], filled[1::2]
    try:
        rule = finder(_sides(filled))
        best = [
            best_ious(other, rule=finder(_sides(half)), levels_hw=levels_hw, input_hw=input_hw)
            for half, other in (halves, halves[::-1])
        ]
    except UserError as error:  # it says what these boxes lack for this way; the other way may do
        return AutomaticAnchors(way=way, per_cell=per_cell, rule=None, recall=None, mean_iou=None, why_not=str(error))
    ious = np.concatenate(best)
    return AutomaticAnchors(
        way=way,
        per_cell=per_cell,
        rule=rule,
        recall=float((ious > ENOUGH_IOU).mean()),
        mean_iou=float(ious.mean()),
        why_not="",
    )


def _sides(boxes: Sequence[np.ndarray]) -> np.ndarray:
    """Widths and heights of all boxes: [M, 2]."""
    whole = np.concatenate(boxes)
    return whole[:, 2:] - whole[:, :2]


def _cells(found: LevelCoverage) -> str:
    """One way of assigning on one level, for the table."""
    places = "-" if found.per_object is None else f"{found.per_object:.1f}"
    share = "-" if found.share is None else f"{100 * found.share:.0f} %"
    return f"  {places:>7}{share:>7}{found.orphans:8}{found.forced:7}"
