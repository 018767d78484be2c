"""What the training boxes decide before a detector with anchors is built: its shapes and its classes' weights.

A config that says `anchors.kind: data` or `alpha_frequent` leaves something open; `fit_codec` fills it in.
Next: anchors.py
"""

from __future__ import annotations

import numpy as np

from sightline.anchors.auto import kmeans, kmeans_anchors, peak_anchors
from sightline.anchors.generate import AnchorRule, LevelsHw, ShapedAnchors, SsdAnchors
from sightline.codecs.anchor_rules import DataAnchors
from sightline.codecs.anchors import AnchorsCodecConfig
from sightline.errors import UserError

LEAST_RATIO = 1.1  # a ratio nearer to 1 would be the level's own size once more
LEAST_USE = 0.005  # per-level: an anchor stays that is the best one of so many of the boxes


def is_open(config: AnchorsCodecConfig) -> bool:
    """Whether the training boxes are needed before the codec can be built."""
    return isinstance(config.anchors, DataAnchors) or bool(config.alpha_frequent and not config.alpha_classes)


def fit_codec(
    config: AnchorsCodecConfig,
    *,
    boxes_wh: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    levels_hw: LevelsHw,
    input_hw: tuple[int, int],
) -> AnchorsCodecConfig:
    """The config with everything filled in that the training boxes decide.

    Args:
        config: open or not; what is not open stays.
        boxes_wh: [M, 2], in input pixels, of the boxes to be found.
        labels: [M], their classes.
        num_classes: of the data.
        levels_hw: (h, w) of each level of the network, whose number of anchors may still be another.
        input_hw: the network's input.

    Raises:
        UserError: there are no boxes, or too few peaks among their sizes.
    """
    changes: dict[str, object] = {}
    if isinstance(config.anchors, DataAnchors):
        changes["anchors"] = fit_anchors(config.anchors, boxes_wh=boxes_wh, levels_hw=levels_hw, input_hw=input_hw)
    if config.alpha_frequent and not config.alpha_classes:
        changes["alpha_classes"] = fit_alpha(config, labels=labels, num_classes=num_classes)
    return config.model_copy(update=changes)


def fit_alpha(config: AnchorsCodecConfig, *, labels: np.ndarray, num_classes: int) -> tuple[float, ...]:
    """A weight for each class: the most frequent one's is multiplied by the first of `alpha_frequent`, and so on.

    Of equally frequent classes the first counts as more frequent. On the driving write-up's data 1.1 and 1.05 are its
    second trial: 1,100 for cars, 1,050 for people, 1,000 for the rest.
    """
    counts = np.bincount(np.asarray(labels, dtype=np.int64), minlength=num_classes)
    weights = np.full(num_classes, config.alpha_foreground)
    for place, factor in zip(np.argsort(-counts, kind="stable"), config.alpha_frequent, strict=False):
        weights[place] *= factor
    return tuple(float(weight) for weight in weights)


def fit_anchors(
    rule: DataAnchors, *, boxes_wh: np.ndarray, levels_hw: LevelsHw, input_hw: tuple[int, int]
) -> AnchorRule:
    """The plain rule that the boxes give; raises UserError where there are none, or too few peaks."""
    if rule.method == "kmeans":
        return kmeans_anchors(boxes_wh, per_level=rule.count, levels_hw=levels_hw, input_hw=input_hw, seed=rule.seed)
    if rule.method == "peaks":
        return peak_anchors(boxes_wh, levels_hw=levels_hw, ratios_per_size=rule.count, seed=rule.seed)
    boxes = _with_area(boxes_wh)
    fitted = _ssd_rule(boxes, num_levels=len(levels_hw), seed=rule.seed)
    if rule.method == "sizes":
        return fitted
    return _used_shapes(fitted, boxes, levels_hw=levels_hw, input_hw=input_hw)


def _ssd_rule(boxes_wh: np.ndarray, *, num_levels: int, seed: int) -> SsdAnchors:
    """SSD's rule: the boxes, ordered by area, are dealt out to the levels; each level fits its share.

    Its size is the geometric mean of its boxes (so it may be taller than wide), its two ratios are clusters of how
    much taller or wider they are than that. The size behind the last is the largest box's.
    """
    rng = np.random.default_rng(seed)
    log = np.log(boxes_wh[np.argsort(boxes_wh.prod(axis=1), kind="stable")])  # [M, 2], width and height
    sizes, rows = [], []
    for part in np.array_split(np.arange(len(log)), num_levels):
        # Fewer boxes than levels: a level without any takes those at its place in the order.
        own = log[part] if len(part) else log[[min(len(rows) * len(log) // num_levels, len(log) - 1)]]
        middle = own.mean(axis=0)
        away = np.abs((own - middle) @ (-1.0, 1.0))[:, None]  # logarithm of (height / width), about the middle's
        ratios = np.maximum(np.exp(np.sort(kmeans(away, count=2, rng=rng)[:, 0])), LEAST_RATIO)
        sizes.append(tuple(np.exp(middle[::-1]).tolist()))
        rows.append(tuple(ratios.tolist()))
    sizes.append(tuple(np.exp(log[-1][::-1]).tolist()))
    return SsdAnchors(sizes_hw=tuple(sizes), ratios=tuple(rows))


def _used_shapes(
    rule: SsdAnchors, boxes_wh: np.ndarray, *, levels_hw: LevelsHw, input_hw: tuple[int, int]
) -> ShapedAnchors:
    """Without the shapes that are the best one of hardly any box; the first of a level always stays."""
    levels = rule.shapes(levels_hw=levels_hw, input_hw=input_hw)
    shapes = np.array([shape for level in levels for shape in level])
    shared = np.minimum(boxes_wh[:, None], shapes).prod(axis=2)  # both at one centre
    iou = shared / (boxes_wh.prod(axis=1)[:, None] + shapes.prod(axis=1) - shared)
    used = np.bincount(iou.argmax(axis=1), minlength=len(shapes)) >= LEAST_USE * len(boxes_wh)
    kept, start = [], 0
    for level in levels:
        of_level = used[start : start + len(level)]
        kept.append(tuple(shape for place, shape in enumerate(level) if of_level[place] or place == 0))
        start += len(level)
    return ShapedAnchors(shapes_wh=tuple(kept))


def _with_area(boxes_wh: np.ndarray) -> np.ndarray:
    boxes = np.asarray(boxes_wh, dtype=np.float64).reshape(-1, 2)
    kept = boxes[(boxes > 0).all(axis=1)]
    if not len(kept):
        raise UserError("There is nothing to fit anchors to: the training part has no boxes with an area.")
    return kept
