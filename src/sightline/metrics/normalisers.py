"""The lengths that point errors are divided by, so that faces of all sizes count alike.

Which there are depends on the skeleton: a length between the eyes needs points of the eyes.
A picture where such a length cannot be measured (a point of it is not visible, or the length
is 0) is masked. In: truth in pixels. Out: a `Normaliser` for each name.
Next: points.py
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sightline.geometry import Box
from sightline.records import Skeleton
from sightline.skeletons import known_names, skeleton

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_CENTRE_WORDS = {"eye", "pupil", "eyecenter", "eyecentre", "eyepupil"}
_CONTOUR = {side: re.compile(rf"eye_{side}_\d+") for side in ("left", "right")}


@dataclass(frozen=True, kw_only=True, eq=False)
class Normaliser:
    """A length for each picture: `length_px` [N] (1 where it cannot be measured) and `valid` [N]."""

    length_px: np.ndarray
    valid: np.ndarray


def outer_eye_corners(points: Skeleton) -> tuple[int, int] | None:
    """The outer corners of the left and right eye; 45 and 36 for iBUG's 68 points.

    By place where all names are those of a known face skeleton, whose eye contours start at the
    outer corner; else by name (`left_eye_outer_corner`, `right_eye_outer`). None without both.
    """
    if _is_known_face(points) and {"eye_left_0", "eye_right_0"} <= set(points.names):
        return points.names.index("eye_left_0"), points.names.index("eye_right_0")
    sides = [
        [i for i, name in enumerate(points.names) if _side(name) == side and _is_outer_corner(_bare(name))]
        for side in ("left", "right")
    ]
    return (sides[0][0], sides[1][0]) if len(sides[0]) == len(sides[1]) == 1 else None


def eye_points(points: Skeleton) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """The points whose mean is the centre of the left and of the right eye.

    The whole contour where all names are those of a known face skeleton (42-47 and 36-41 for
    iBUG's 68 points); else one point for each by name (`left_eye`, `right_pupil`,
    `left_eye_center`). None without both, or where part of a contour is missing.
    """
    if _is_known_face(points):
        faces = [face for face in map(skeleton, known_names()) if set(points.names) <= set(face.names)]
        left, right = ([name for name in faces[0].names if pattern.fullmatch(name)] for pattern in _CONTOUR.values())
        # Names that two known faces share do not tell which contour is whole.
        if len(faces) > 1 or not set(left + right) <= set(points.names):
            return None
        return tuple(map(points.names.index, left)), tuple(map(points.names.index, right))
    sides = [
        [i for i, name in enumerate(points.names) if _side(name) == side and _bare(name) in _CENTRE_WORDS]
        for side in ("left", "right")
    ]
    return ((sides[0][0],), (sides[1][0],)) if len(sides[0]) == len(sides[1]) == 1 else None


def normalisers(
    truth_xy: np.ndarray,
    visible: np.ndarray,
    *,
    skeleton: Skeleton,
    boxes: Sequence[Box | None] | None = None,
    sizes_hw: Sequence[tuple[int, int] | None] | None = None,
) -> dict[str, Normaliser]:
    """Every length that this skeleton and these labels have, by name.

    `interocular` (outer eye corners), `interpupil` (centres of the eyes), `box` (square root of
    the area of the tight box of the visible points), `diagonal` (of that box), `label_box`
    (square root of the area of the label file's box), `image` (diagonal of the picture).

    Args:
        truth_xy: [N, K, 2], finite where visible.
        visible: [N, K] bool.
        skeleton: of K points.
        boxes: the label file's box of each picture, or None for a picture without.
        sizes_hw: (height, width) of each picture, or None where it is not known.
    """
    lengths: dict[str, np.ndarray] = {}
    if (corners := outer_eye_corners(skeleton)) is not None:
        lengths["interocular"] = _between(truth_xy, visible, first=corners[:1], second=corners[1:])
    if (eyes := eye_points(skeleton)) is not None:
        lengths["interpupil"] = _between(truth_xy, visible, first=eyes[0], second=eyes[1])
    if len(skeleton) > 1:
        width, height = _extent(truth_xy, visible)
        lengths["box"] = np.sqrt(width * height)
        lengths["diagonal"] = np.hypot(width, height)
    if boxes is not None:
        assert len(boxes) == len(truth_xy), (len(boxes), len(truth_xy))
        lengths["label_box"] = np.array([0.0 if box is None else _side_of(box) for box in boxes])
    if sizes_hw is not None:
        assert len(sizes_hw) == len(truth_xy), (len(sizes_hw), len(truth_xy))
        lengths["image"] = np.array([0.0 if size is None else np.hypot(*size) for size in sizes_hw])
    return {
        name: Normaliser(length_px=np.where(length > 0, length, 1.0), valid=length > 0)
        for name, length in lengths.items()
    }


def _between(truth_xy: np.ndarray, visible: np.ndarray, *, first: Sequence[int], second: Sequence[int]) -> np.ndarray:
    """Distance between the means of two sets of points [N], 0 where one of them is not visible."""
    first, second = list(first), list(second)
    gap = truth_xy[:, first].mean(axis=1) - truth_xy[:, second].mean(axis=1)  # [N, 2]
    return np.where(visible[:, first + second].all(axis=1), np.hypot(gap[:, 0], gap[:, 1]), 0.0)


def _extent(truth_xy: np.ndarray, visible: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Width and height [N] of the tight box of the visible points, 0 where there are none."""
    low = np.where(visible[..., None], truth_xy, np.inf).min(axis=1)
    high = np.where(visible[..., None], truth_xy, -np.inf).max(axis=1)
    size = np.where(visible.any(axis=1, keepdims=True), high - low, 0.0)
    return size[:, 0], size[:, 1]


def _side_of(box: Box) -> float:
    """Side of the square of a box's area; 0 for an empty box."""
    return float(np.sqrt(max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])))


def _is_known_face(points: Skeleton) -> bool:
    return any(set(points.names) <= set(skeleton(name).names) for name in known_names())


def _side(name: str) -> str | None:
    """left, right, or None for neither or both."""
    words = {word.lower() for word in _WORD.findall(name)}
    lowered = name.lower()
    is_left, is_right = "left" in lowered or "l" in words, "right" in lowered or "r" in words
    return None if is_left == is_right else ("left" if is_left else "right")


def _bare(name: str) -> str:
    """The name in lower case without its side and without what joins its words."""
    words = [word.lower() for word in _WORD.findall(name)]
    kept = "".join(word for word in words if word not in ("l", "r"))
    return kept.replace("left", "").replace("right", "")


def _is_outer_corner(bare: str) -> bool:
    return "eye" in bare and "outer" in bare and "brow" not in bare and "lid" not in bare
