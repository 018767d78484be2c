"""Drawing points, edges and boxes on a picture, for the eye.

In: a picture and points or boxes in its continuous pixels. Out: an RGB picture, enlarged where it is
small, with lines and dots whose size follows the picture's. The colours are told apart with any colour
vision, and a dark rim makes them seen on any ground. Of boxes, what was found is solid and what is
true is dashed in white, so that both are seen where they coincide.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from sightline.geometry import Box, box_areas, continuous_to_index, pairwise_iou, scaling
from sightline.records import Skeleton
from sightline.writers.tags import Tag, draw_tags, readable

PREDICTION_RGB = (255, 196, 37)
TRUTH_RGB = (86, 180, 233)
BOX_RGB = (255, 255, 255)
# Okabe and Ito's colours, which are made for all kinds of colour vision, without black; and a light grey.
CLASS_RGB = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
    (225, 225, 225),
)
_RIM_RGB = (16, 16, 24)
_LONGER_SIDE = 768
_SHIFT = 4  # cv2 takes coordinates in 1/16 of a pixel
_EDGE_OPACITY = 0.75
_CIRCLE_OPACITY = 0.55
_SAME_IOU = 0.5


def draw_overlay(
    image: np.ndarray,
    *,
    points_xy: np.ndarray,
    skeleton: Skeleton,
    truth_xy: np.ndarray | None = None,
    visible: np.ndarray | None = None,
    box: Box | None = None,
    radius_px: np.ndarray | None = None,
) -> np.ndarray:
    """Draw predicted points (amber) and true ones (blue) with the skeleton's edges.

    Args:
        image: [H, W, C] uint8, RGB or grey.
        points_xy: [K, 2], continuous pixels of `image`.
        skeleton: whose edges are drawn.
        truth_xy: [K, 2], likewise; a thin line joins each true point to its prediction.
        visible: [K] bool, the points to draw; all without it.
        box: the object's box, in the same pixels.
        radius_px: [K], likewise: thin circles within which the true points lie; none where infinite.

    Returns:
        [H', W', 3] uint8: the picture with the drawing, its longer side at least 768 pixels.
    """
    canvas, scale = _canvas(image)
    longer = max(canvas.shape[:2])
    thickness, radius = max(1, round(longer / 512)), longer / 220
    shown = np.ones(len(points_xy), dtype=bool) if visible is None else visible
    points = _placed(points_xy, scale=scale, longer=longer)
    if box is not None:
        corners = _placed(np.array(box).reshape(2, 2), scale=scale, longer=longer)
        _draw_box(canvas, corners, thickness=thickness)
    if radius_px is not None:
        _draw_circles(canvas, points[shown], radius_px[shown] * scale)
    truth = None if truth_xy is None else _placed(truth_xy, scale=scale, longer=longer)
    if truth is not None:
        canvas = _with_edges(canvas, truth, shown=shown, skeleton=skeleton, rgb=TRUTH_RGB, thickness=thickness)
    canvas = _with_edges(canvas, points, shown=shown, skeleton=skeleton, rgb=PREDICTION_RGB, thickness=thickness)
    if truth is not None:
        for index in np.flatnonzero(shown):
            _line(canvas, truth[index], points[index], rgb=BOX_RGB, thickness=1)
            _disc(canvas, truth[index], radius=radius, rgb=TRUTH_RGB)
    for point in points[shown]:
        _disc(canvas, point, radius=radius, rgb=PREDICTION_RGB)
    return canvas


def draw_boxes(
    image: np.ndarray,
    *,
    boxes_xyxy: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    scores: np.ndarray | None = None,
    truth_xyxy: np.ndarray | None = None,
    truth_labels: np.ndarray | None = None,
    margin_px: np.ndarray | None = None,
) -> np.ndarray:
    """Draw boxes in the colours of their classes, named; and true ones dashed in white.

    Eight colours go round the classes; the names tell apart those that share one. A true box is
    named where no box of its class overlaps it by half. A name that finds no room is left out.

    Args:
        image: [H, W, C] uint8, RGB or grey.
        boxes_xyxy: [N, 4], continuous pixels of `image`.
        labels: [N], positions in `classes`.
        classes: their names.
        scores: [N], written behind the names.
        truth_xyxy: [M, 4], likewise.
        truth_labels: [M]; goes with `truth_xyxy`.
        margin_px: [N], in pixels of `image`: thin lines so far inside and outside of each box; none where infinite.

    Returns:
        [H', W', 3] uint8: the picture with the drawing, its longer side at least 768 pixels.
    """
    canvas, scale = _canvas(image)
    longer = max(canvas.shape[:2])
    thickness = max(2, round(longer / 380))
    areas = box_areas(boxes_xyxy)
    names = [readable(name, number=number) for number, name in enumerate(classes)]
    tags = []
    for index in np.argsort(-areas, kind="stable"):  # small ones on top
        corners = _placed(boxes_xyxy[index].reshape(2, 2), scale=scale, longer=longer)
        rgb = CLASS_RGB[labels[index] % len(CLASS_RGB)]
        if margin_px is not None and np.isfinite(margin_px[index]):
            _draw_margin(canvas, corners, float(margin_px[index]) * scale, rgb=rgb)
        _draw_box(canvas, corners, thickness=thickness, rgb=rgb)
    order = np.argsort(-scores if scores is not None else areas, kind="stable")
    for index in order:
        label = int(labels[index])
        text = names[label] if scores is None else f"{names[label]} {scores[index]:.2f}"
        rgb = CLASS_RGB[label % len(CLASS_RGB)]
        tags.append(Tag(text=text, rgb=rgb, box_xyxy=_on_canvas(boxes_xyxy[index], scale=scale, longer=longer)))
    if truth_xyxy is not None:
        assert truth_labels is not None and len(truth_labels) == len(truth_xyxy), truth_labels
        for box in truth_xyxy:
            _draw_dashed(canvas, _placed(box.reshape(2, 2), scale=scale, longer=longer), thickness=thickness)
        found = (pairwise_iou(truth_xyxy, boxes_xyxy) >= _SAME_IOU) & (truth_labels[:, None] == labels[None])
        for index in np.flatnonzero(~found.any(axis=1)):
            box = _on_canvas(truth_xyxy[index], scale=scale, longer=longer)
            tags.append(Tag(text=f"true: {names[int(truth_labels[index])]}", rgb=BOX_RGB, box_xyxy=box))
    return draw_tags(canvas, tags, height_px=max(12, round(longer / 55)))


def _canvas(image: np.ndarray) -> tuple[np.ndarray, float]:
    """An RGB copy, enlarged to at least the least size, and by how much."""
    rgb = np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image.copy()
    scale = max(1.0, _LONGER_SIDE / max(image.shape[:2]))
    if scale == 1.0:
        return np.ascontiguousarray(rgb), 1.0
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    return cv2.resize(rgb, (width, height), interpolation=cv2.INTER_CUBIC), scale


def _placed(xy: np.ndarray, *, scale: float, longer: int) -> np.ndarray:
    """Continuous source pixels to cv2's pixel indices; far-off points stay within its integers."""
    return continuous_to_index(scaling(scale, scale).points(xy.astype(np.float64))).clip(-4 * longer, 5 * longer)


def _on_canvas(box_xyxy: np.ndarray, *, scale: float, longer: int) -> Box:
    """A box in pixels of the canvas, for placing its name."""
    x0, y0, x1, y1 = _placed(box_xyxy.reshape(2, 2), scale=scale, longer=longer).ravel().tolist()
    return x0, y0, x1, y1


def _fixed(xy: np.ndarray) -> tuple[int, int]:
    x, y = np.round(xy * (1 << _SHIFT)).astype(int)
    return int(x), int(y)


def _with_edges(
    canvas: np.ndarray,
    points: np.ndarray,
    *,
    shown: np.ndarray,
    skeleton: Skeleton,
    rgb: tuple[int, ...],
    thickness: int,
) -> np.ndarray:
    """The skeleton's edges, slightly transparent, so that crossing lines and the picture stay legible."""
    edges = [(a, b) for a, b in skeleton.edges if shown[a] and shown[b]]
    drawn = canvas.copy()
    for first, second in edges:
        _line(drawn, points[first], points[second], rgb=_RIM_RGB, thickness=thickness + 2)
    for first, second in edges:
        _line(drawn, points[first], points[second], rgb=rgb, thickness=thickness)
    return cv2.addWeighted(drawn, _EDGE_OPACITY, canvas, 1 - _EDGE_OPACITY, 0)


def _line(canvas: np.ndarray, start: np.ndarray, end: np.ndarray, *, rgb: tuple[int, ...], thickness: int) -> None:
    cv2.line(canvas, _fixed(start), _fixed(end), rgb, thickness, cv2.LINE_AA, _SHIFT)


def _disc(canvas: np.ndarray, centre: np.ndarray, *, radius: float, rgb: tuple[int, ...]) -> None:
    for size, colour in ((radius * 1.4, _RIM_RGB), (radius, rgb)):
        cv2.circle(canvas, _fixed(centre), round(size * (1 << _SHIFT)), colour, -1, cv2.LINE_AA, _SHIFT)


def _draw_circles(canvas: np.ndarray, centres: np.ndarray, radii: np.ndarray) -> None:
    """Thin circles, where they have an end; half transparent, since those of neighbours cross."""
    drawn = canvas.copy()
    for centre, radius in zip(centres, radii, strict=True):
        if radius < 2 * max(canvas.shape):
            cv2.circle(drawn, _fixed(centre), round(radius * (1 << _SHIFT)), PREDICTION_RGB, 1, cv2.LINE_AA, _SHIFT)
    canvas[:] = cv2.addWeighted(drawn, _CIRCLE_OPACITY, canvas, 1 - _CIRCLE_OPACITY, 0)


def _draw_margin(canvas: np.ndarray, corners: np.ndarray, margin: float, *, rgb: tuple[int, int, int]) -> None:
    """Thin lines between which the sides of the true box lie; inner ones where the box is wide enough."""
    away = np.array([[-margin, -margin], [margin, margin]])
    for box in (corners + away, corners - away):
        if (box[1] > box[0]).all():
            cv2.rectangle(canvas, _fixed(box[0]), _fixed(box[1]), rgb, 1, cv2.LINE_AA, _SHIFT)


def _draw_box(canvas: np.ndarray, corners: np.ndarray, *, thickness: int, rgb: tuple[int, int, int] = BOX_RGB) -> None:
    start, end = _fixed(corners[0]), _fixed(corners[1])
    for width, colour in ((thickness + 2, _RIM_RGB), (thickness, rgb)):
        cv2.rectangle(canvas, start, end, colour, width, cv2.LINE_AA, _SHIFT)


def _draw_dashed(canvas: np.ndarray, corners: np.ndarray, *, thickness: int) -> None:
    """A box of white dashes with a dark rim; each side begins and ends with a dash."""
    (x0, y0), (x1, y1) = corners
    dash = 4.0 * thickness
    for start, end in (((x0, y0), (x1, y0)), ((x1, y0), (x1, y1)), ((x1, y1), (x0, y1)), ((x0, y1), (x0, y0))):
        a, b = np.array(start), np.array(end)
        count = 2 * max(1, round(float(np.abs(b - a).max()) / (2 * dash))) + 1
        stops = np.linspace(0.0, 1.0, count + 1)
        for width, colour in ((thickness + 2, _RIM_RGB), (thickness, BOX_RGB)):
            for first, last in zip(stops[0::2], stops[1::2], strict=True):
                _line(canvas, a + (b - a) * first, a + (b - a) * last, rgb=colour, thickness=width)
